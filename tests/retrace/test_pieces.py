"""What is computed from the pieces of a column is what the whole column gives."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from retrace import pieces
from retrace.errors import UserError
from retrace.pieces import (
    Repeatable,
    columns_in_pieces,
    count_values,
    each,
    numbers_at,
    quantiles_of,
    read_pieces,
)
from retrace.table_files import write_table

DTYPES = ["float64", "float32", "int64", "int16", "uint64", "uint8", "datetime64[us]"]
NUMBERS = st.sampled_from(DTYPES).flatmap(
    lambda dtype: arrays.arrays(
        dtype,
        st.integers(1, 60),
        elements={"allow_nan": False, "allow_infinity": False} if dtype.startswith("float") else None,
    )
)
TABLE = pd.DataFrame(
    {
        "number": np.arange(40),
        "decimal": np.where(np.arange(40) % 3, np.arange(40) / 7, np.nan),
        "when": pd.date_range("2024-01-01", periods=40, freq="h").astype("datetime64[us]"),
        "word": [f"word {number % 6}" if number % 5 else None for number in range(40)],
        "mark": [None if number % 4 == 0 else number > 20 for number in range(40)],
    }
)


def divided(values: np.ndarray, sizes: int) -> Repeatable[np.ndarray]:
    return Repeatable(lambda: (values[start : start + sizes] for start in range(0, len(values), sizes)))


@given(NUMBERS.filter(lambda values: not np.isnat(values).any() if values.dtype.kind == "M" else True), st.data())
def test_numbers_at_ranks_are_those_of_the_sorted_column(values: np.ndarray, data: st.DataObject):
    ranks = data.draw(st.lists(st.integers(0, len(values) - 1), min_size=1, max_size=9))
    expected = np.sort(values)[ranks]
    for found in (numbers_at([values], ranks), numbers_at(divided(values, data.draw(st.integers(1, 60))), ranks)):
        assert found.dtype == values.dtype
        assert (found == expected).all()


@given(
    arrays.arrays("float64", st.integers(1, 60), elements=st.floats(-1e12, 1e12)),
    st.lists(st.floats(0, 1), min_size=1, max_size=5),
    st.integers(1, 60),
)
def test_quantiles_are_those_of_numpy(values: np.ndarray, shares: list[float], size: int):
    found = quantiles_of(divided(values, size), shares)
    assert found == pytest.approx(np.quantile(values, shares), abs=1e-14 * np.abs(values).max())
    assert (found == quantiles_of([values], shares)).all()


@pytest.mark.parametrize("rows", [1_000, 7])
def test_a_column_of_several_tables_is_as_if_they_were_one(rows: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(pieces, "ROWS_IN_PIECE", rows)
    paths = [tmp_path / "a.parquet", tmp_path / "b.parquet"]
    write_table(TABLE[:25], paths[0])
    write_table(TABLE[25:], paths[1])
    for name in TABLE:
        column = read_pieces(paths, name)
        for _ in range(2):
            found = list(column)
            assert list(map(len, found)) == ([40] if rows == 1_000 else [7, 7, 7, 4, 7, 7, 1])
            pd.testing.assert_series_equal(pd.concat(found, ignore_index=True), TABLE[name])
        assert count_values(column).to_dict() == TABLE[name].value_counts().to_dict()
    assert [name for name, _ in columns_in_pieces(paths[0])] == list(TABLE)


def test_a_column_of_a_missing_file_is_one_line(tmp_path: Path):
    with pytest.raises(UserError, match="no such file; `dvc repro` makes it"):
        read_pieces([tmp_path / "a.parquet"], "number")


def test_what_is_made_of_each_piece_can_be_iterated_over_again():
    column = dict(columns_in_pieces(TABLE))["number"]
    for values in (column, Repeatable(lambda: iter(column))):
        doubled = each(lambda piece: piece * 2, values)
        assert [list(piece) for piece in doubled] == [list(piece) for piece in doubled] == [list(range(0, 80, 2))]
