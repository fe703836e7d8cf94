"""A model is fitted on all rows of train if they fit into the stated memory, else on a sample of them."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from retrace import table_files
from retrace.params import Params
from retrace.sampling import BYTES_PER_VALUE, read_training_rows, share_that_fits
from retrace.table_files import write_table
from tests.models import params_for

ROWS = 2_000
RNG = np.random.default_rng(0)
TABLE = pd.DataFrame(
    {
        "id": [f"row {number}" for number in range(ROWS)],
        "time": pd.date_range("2024-01-01", periods=ROWS, freq="h").astype("datetime64[us]"),
        "size": RNG.normal(size=ROWS),
        "rooms": pd.array(RNG.integers(1, 6, ROWS), "Int64"),
        "sold": np.where(RNG.random(ROWS) < 0.3, None, RNG.random(ROWS) < 0.5),
        "city": pd.Series(RNG.choice(["Bern", "Basel", None], ROWS), dtype="str"),
        "price": np.where(RNG.random(ROWS) < 0.5, "high", "low"),
    }
)
FEATURES = 4


def with_memory_for(rows: float, task: str = "classification", **data: Any) -> Params:
    """Parameters by which so many rows of TABLE fit into memory."""
    params = params_for(task)
    train = params.train.model_copy(update={"memory": rows * FEATURES * BYTES_PER_VALUE / 1e9})
    return params.model_copy(update={"train": train, "data": params.data.model_copy(update={"time": "time"} | data)})


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "train.parquet"
    table = TABLE.copy()
    table.attrs = {"block": "day", "dropped": {"no label": 3}}
    write_table(table, path)
    return path


def test_a_row_of_19_features_takes_about_1_7_kilobytes():
    assert share_that_fits(rows=20_000_000, features=19, memory=17.1) == pytest.approx(0.5)
    assert share_that_fits(rows=20_000_000, features=19, memory=34.2) == 1
    assert share_that_fits(rows=1, features=1, memory=1000) == 1


def test_all_rows_are_read_if_they_fit(file: Path):
    rows = read_training_rows(file, with_memory_for(ROWS))
    pd.testing.assert_frame_equal(rows, table_files.read_table(file))
    assert len(read_training_rows(file, with_memory_for(ROWS - 1))) < ROWS


def test_a_sample_has_about_as_many_rows_as_fit_in_their_order_and_is_like_all_rows(file: Path):
    rows = read_training_rows(file, with_memory_for(500))
    assert 430 < len(rows) < 570  # three standard errors
    chosen = TABLE["id"].isin(rows["id"])
    pd.testing.assert_frame_equal(rows, TABLE[chosen].reset_index(drop=True))
    assert (rows["price"] == "high").mean() == pytest.approx(0.5, abs=0.07)


def test_a_sample_has_what_the_file_says_of_the_table(file: Path):
    assert read_training_rows(file, with_memory_for(500)).attrs == {"block": "day", "dropped": {"no label": 3}}


@pytest.mark.parametrize("chunks", [1, 3, 50])
def test_a_sample_is_the_same_whatever_the_chunks(file: Path, monkeypatch: pytest.MonkeyPatch, chunks: int):
    expected = read_training_rows(file, with_memory_for(500))
    monkeypatch.setattr(table_files, "CELLS_IN_CHUNK", ROWS * len(TABLE.columns) // chunks)
    rows = read_training_rows(file, with_memory_for(500))
    pd.testing.assert_frame_equal(rows, expected)
    written = [file.with_name(name) for name in ("a.parquet", "b.parquet")]
    for table, path in zip((rows, expected), written, strict=True):
        write_table(table, path)
    assert written[0].read_bytes() == written[1].read_bytes()


def test_a_row_stays_in_the_sample_when_more_fit_or_others_are_added(file: Path):
    few, more = (set(read_training_rows(file, with_memory_for(rows))["id"]) for rows in (300, 600))
    assert few < more
    added = TABLE.assign(id=[f"new {number}" for number in range(ROWS)])
    write_table(pd.concat([added, TABLE], ignore_index=True), file)
    assert set(read_training_rows(file, with_memory_for(600))["id"]) & set(TABLE["id"]) == few


def test_rows_of_equal_content_are_drawn_together(file: Path):
    ids = [f"{number // 2}-{number % 2}" for number in range(ROWS)]
    write_table(TABLE.drop(columns="id").assign(row_id=ids), file)
    rows = read_training_rows(file, with_memory_for(500, id=None))
    assert set(rows["row_id"].str.partition("-")[0].value_counts()) == {2}


def test_each_of_a_few_groups_keeps_a_part_of_its_rows(file: Path):
    write_table(TABLE.assign(group=np.arange(ROWS) % 8), file)
    rows = read_training_rows(file, with_memory_for(400, group="group"))
    assert rows["group"].value_counts().between(25, 75).all()


@pytest.mark.parametrize(
    ("rows", "task", "line"),
    [
        (3, "classification", r"in a sample of \d+ of 2,000 rows of train, the part train has \d rows?, and 10"),
        (0.01, "regression", "in a sample of 0 of 2,000 rows of train, the part train has no rows; allow more memory"),
        (200, "classification", "a class of price is missing; allow more memory, or join it with another"),
    ],
)
def test_a_sample_that_nothing_can_be_learned_from_is_one_line(file: Path, rows: float, task: str, line: str):
    rare = TABLE.assign(price=TABLE["price"].mask(TABLE["id"] == "row 0", "rare"))
    write_table(TABLE.assign(price=TABLE["size"]) if task == "regression" else rare, file)
    with pytest.raises(SystemExit, match=rf"^params\.yaml: train\.memory: .*{line}") as error:
        read_training_rows(file, with_memory_for(rows, task))
    assert "\n" not in str(error.value)
    assert "rare" not in str(error.value), "a value of a single row"
