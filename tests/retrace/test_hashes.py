"""Hashes that are in a file are counted as those in memory are."""

import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrace import hashes, pieces
from retrace.hashes import StoredHashes

CHUNKS = st.lists(st.lists(st.sampled_from([0, 1, 2**63 - 1, 2**63, 2**64 - 1]) | st.integers(0, 2**64 - 1)))


@given(CHUNKS)
def test_repeated_and_different_hashes_are_those_of_all_chunks_together(chunks: list[list[int]]):
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(hashes, "HASHES_AT_ONCE", 3)
        patched.setattr(pieces, "INTEGERS_IN_MEMORY", 3)
        patched.setattr(pieces, "ROWS_IN_PIECE", 2)
        stored = StoredHashes()
        for chunk in chunks:
            stored.add(np.array(chunk, np.uint64))
        all_of_them = [number for chunk in chunks for number in chunk]
        assert [number for piece in stored for number in piece] == all_of_them
        assert stored.rows == len(all_of_them)
        assert stored.different() == len(set(all_of_them))
        assert stored.repeated().tolist() == sorted({n for n in all_of_them if all_of_them.count(n) > 1})
        assert stored.of_rows(1, 4).tolist() == all_of_them[1:5]


def test_hashes_that_are_counted_between_chunks_are_counted_again_at_the_end():
    stored = StoredHashes()
    stored.add(np.array([5, 7], np.uint64))
    assert stored.different() == 2
    stored.add(np.array([5], np.uint64))
    assert (stored.different(), stored.repeated().tolist()) == (2, [5])


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only some systems have a device that is always full")
def test_a_full_folder_for_temporary_files_is_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(pieces, "SpooledTemporaryFile", lambda **_: Path("/dev/full").open("r+b"))  # noqa: SIM115
    with pytest.raises(OSError, match="No space left") as error:
        StoredHashes().add(np.arange(10_000, dtype=np.uint64))
    assert error.value.filename == tempfile.gettempdir()
