"""A table that is stored in temporary files is adopted as one in memory is, to the byte."""

import errno
from argparse import Namespace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from retrace import table_files
from retrace.adopt import command, pitfalls, sample, stored
from retrace.adopt import project as own_files
from retrace.adopt.command import parse
from retrace.adopt.plan import plan
from retrace.adopt.summary import summary_of
from retrace.schema import write_schema

ROWS = 600
RNG = np.random.default_rng(0)
VISITS = pd.DataFrame(
    {
        "visit": [f"visit {number:04}" for number in range(ROWS)],
        "day": pd.date_range("2024-01-01", periods=ROWS, freq="h").astype("datetime64[us]"),
        "city": RNG.choice(["Bern", "bern", "Chur", "Total", None], ROWS),
        "patient": RNG.integers(0, 60, ROWS),
        "weight": [f"{RNG.integers(40, 99)} kg" for _ in range(ROWS)],
        "age": np.where(RNG.random(ROWS) < 0.05, -999.0, RNG.integers(20, 80, ROWS)),
        "mark": RNG.choice([True, None], ROWS),
        "cost": RNG.integers(1, 9, ROWS),
        "late": RNG.choice([0.0, 1.0, np.nan], ROWS, p=[0.6, 0.3, 0.1]),
    }
)
VISITS["bill"] = VISITS["late"].fillna(0) * 3 + RNG.random(ROWS) / 100  # which gives the target away
VISITS.loc[300:, VISITS.columns[1:]] = VISITS.loc[: ROWS - 301, VISITS.columns[1:]].to_numpy()  # copies
NUMBERS = ["patient", "cost", "age", "bill"]
VISITS.loc[ROWS - 1, NUMBERS] = VISITS.loc[: ROWS - 2, NUMBERS].sum()


def one_parquet(folder: Path) -> Path:
    VISITS.to_parquet(folder / "visits.parquet", index=False)
    return folder / "visits.parquet"


def folder_of_parquet(folder: Path) -> Path:
    """Files in which whole numbers have other types, and one has no row."""
    (folder / "visits").mkdir()
    for number, rows in enumerate((VISITS[:200], VISITS[200:200], VISITS[200:].astype({"cost": "float32"}))):
        rows.to_parquet(folder / f"visits/{number}.parquet", index=False)
    return folder / "visits"


def folder_of_csv(folder: Path) -> Path:
    """Files in which columns have another order, and one is empty in a file."""
    (folder / "visits").mkdir()
    dated = VISITS.assign(day=VISITS["day"].dt.strftime("%d.%m.%Y %H:%M"))
    dated[:250].assign(mark=None).to_csv(folder / "visits/1.csv", index=False)
    dated.loc[250:, dated.columns[::-1]].to_csv(folder / "visits/2.csv", index=False)
    return folder / "visits"


def adopted(file: Path, *words: str, cells: int, monkeypatch: pytest.MonkeyPatch) -> tuple[list[str], str, str, bool]:
    """What adopt prints, params.yaml and the schema; and whether the table was stored."""
    monkeypatch.setattr(table_files, "CELLS_IN_CHUNK", cells)
    with stored.temporary_files():
        new = plan(parse([str(file), "--target", "late", *words]))
        lines = list(summary_of(new, file))
        schema = own_files.first_schema(new.raw, new.data.private, new.data.id)
        assert schema is not None
        write_schema({"table": schema}, Path("schema.yaml"))
        params = yaml.safe_dump(own_files.written(new.params)[0])
        return lines, params, Path("schema.yaml").read_text(), isinstance(new.raw.table, Path)


@pytest.mark.parametrize(
    ("table", "words"),
    [
        (one_parquet, ()),
        (one_parquet, ("--time", "day", "--drop", "bill")),
        (folder_of_parquet, ("--group", "patient")),
        (folder_of_csv, ("--id", "visit")),
    ],
)
@pytest.mark.parametrize("of_sample", [False, True])
def test_a_table_in_chunks_is_adopted_as_one_in_memory(table, words, of_sample, project, monkeypatch):
    monkeypatch.setattr(pitfalls, "MOST_ROWS", 100)
    if of_sample:
        monkeypatch.setattr(sample, "MOST_ROWS", 300)
        monkeypatch.setattr(sample, "FEWEST_ROWS", 0)
        monkeypatch.setattr(sample, "ENDS", 20)
    file, cells = table(project.parent), VISITS.size
    *whole, is_stored = adopted(file, *words, cells=10 * cells, monkeypatch=monkeypatch)
    assert not is_stored
    assert of_sample == any(line.startswith("sample: ") for line in whole[0])
    for chunks in (3, 50):
        *found, is_stored = adopted(file, *words, cells=cells // chunks, monkeypatch=monkeypatch)
        assert is_stored
        assert found == whole
    assert not stored.FOLDER.exists()


@pytest.mark.parametrize(("named", "told"), [(None, ".dvc/tmp"), ("/tmp", "/tmp")])
def test_a_full_disk_is_told_of_the_folder_that_is_written_to(
    named: str | None, told: str, monkeypatch: pytest.MonkeyPatch
):
    def fail(arguments: Namespace) -> None:
        raise OSError(errno.ENOSPC, "[Errno 28] Error writing bytes to file", *([named] if named else []))

    monkeypatch.setattr(command, "plan", fail)
    with pytest.raises(SystemExit, match=f"^{told}: cannot be written: No space left on device$"):
        command.adopt_table(Namespace(file=Path("visits.parquet")), None)
