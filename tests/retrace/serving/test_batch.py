"""Predictions for files: the same numbers as anywhere, in parts, and once more after a kill."""

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from retrace.errors import UserError
from retrace.serving import batch
from retrace.serving.batch import Part, read_parts, write_part
from retrace.table_files import read_table
from tests.conftest import ENVIRONMENT, check, retrace
from tests.retrace.serving.test_serve import evaluated


@pytest.fixture(scope="module")
def rows(released_wine: Path) -> pd.DataFrame:
    return read_table(released_wine / "data/split/valid.parquet")


def predict(project: Path, source: Path, out: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return retrace("predict", str(source), "--out", str(out), *words, cwd=project)


def read(file: Path) -> pd.DataFrame:
    if file.suffix == ".csv":
        return pd.read_csv(file)
    return pd.DataFrame(map(json.loads, file.open())) if file.suffix == ".jsonl" else pd.read_parquet(file)


def write(rows: pd.DataFrame, file: Path) -> None:
    if file.suffix == ".csv":
        rows.to_csv(file, index=False)
    elif file.suffix == ".parquet":
        rows.to_parquet(file)
    else:
        file.write_text("".join(json.dumps(row, default=str) + "\n" for row in rows.to_dict("records")))


@pytest.mark.parametrize("kind", [".csv", ".parquet", ".jsonl"])
def test_each_kind_of_file_gives_the_numbers_of_evaluate(
    released_wine: Path, rows: pd.DataFrame, tmp_path: Path, kind: str, expected: list[dict[str, float]]
):
    file, result = tmp_path / f"rows{kind}", tmp_path / f"result{kind}"
    write(rows, file)
    done = predict(released_wine, file, result)
    assert done.stdout == f"{result}: {len(rows)} predictions by late-flights v1.0.0\n", done.stderr
    found = read(result)
    assert found[["prediction_0", "prediction_1", "prediction_2"]].to_numpy().tolist() == [
        list(each.values()) for each in expected
    ]
    assert list(found)[: len(rows.columns)] == list(rows)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([file.name, result.name])


@pytest.mark.parametrize(
    ("project", "names"),
    [("released_wine", ["prediction_0", "prediction_1", "prediction_2"]), ("released_demo", ["prediction"])],
)
def test_the_package_alone_prints_the_columns_that_the_command_adds(
    project: str, names: list[str], tmp_path: Path, request: pytest.FixtureRequest
):
    folder: Path = request.getfixturevalue(project)
    rows, result = tmp_path / "rows.csv", tmp_path / "result.csv"
    read_table(folder / "data/split/valid.parquet").head(20).to_csv(rows, index=False)
    assert predict(folder, rows, result).returncode == 0
    printed = check(sys.executable, "release/model.zip", str(rows), cwd=folder)
    assert printed == pd.read_csv(result, dtype=str)[names].to_csv(index=False), "the same to the last digit"


@pytest.fixture(scope="module")
def expected(released_wine: Path) -> list[dict[str, float]]:
    return evaluated(released_wine)


def test_numbers_and_texts_mean_the_same_in_each_kind_of_file(released_demo: Path, tmp_path: Path):
    """17 digits, a category that pandas would take for a missing value, and codes beside missing ones."""
    random = np.random.default_rng(1)
    rows = read_table(released_demo / "data/split/valid.parquet").head(400).drop(columns=["departure", "late"])
    for name in ("temp", "airport_delay", "pressure"):
        rows[name] = random.normal(size=len(rows)) * 1e3
    rows.loc[::7, "dest"] = "None"
    rows.loc[::11, "carrier"] = None
    found = {}
    for kind in (".csv", ".parquet", ".jsonl"):
        write(rows.astype(object).where(rows.notna(), None) if kind == ".jsonl" else rows, tmp_path / f"rows{kind}")
        done = predict(released_demo, tmp_path / f"rows{kind}", tmp_path / f"out{kind}")
        assert done.returncode == 0, done.stderr
        found[kind] = read(tmp_path / f"out{kind}")["prediction"].tolist()
    assert found[".csv"] == found[".parquet"] == found[".jsonl"]


@pytest.mark.slow
def test_a_folder_is_one_table_in_the_order_of_its_names(
    released_wine: Path, rows: pd.DataFrame, tmp_path: Path, expected: list[dict[str, float]]
):
    folder = tmp_path / "rows"
    folder.mkdir()
    rows[20:].to_csv(folder / "2.csv", index=False)
    rows[:20].to_csv(folder / "1.csv", index=False)
    (folder / "notes.txt").touch()
    out = folder / "out.csv"
    for _ in range(2):  # the result of the first run is no input of the second
        done = predict(released_wine, folder, out, "--model", "release/model.zip")
        assert done.returncode == 0, done.stderr
    assert read(out)["prediction_0"].tolist() == [each["0"] for each in expected]
    rows[20:][list(rows)[::-1]].to_csv(folder / "2.csv", index=False)
    done = predict(released_wine, folder, out)
    assert done.stderr == f"{folder}/2.csv: has other columns than {folder}/1.csv, or in another order\n"
    rows.to_parquet(folder / "3.parquet")
    done = predict(released_wine, folder, out)
    assert done.stderr == f"{folder}/3.parquet: ends with .parquet, and --out with .csv; use one kind\n"


@pytest.mark.slow
def test_it_goes_on_after_a_kill(released_wine: Path, rows: pd.DataFrame, tmp_path: Path):
    source, out = tmp_path / "rows.csv", tmp_path / "out.csv"
    pd.concat([rows] * 4000).to_csv(source, index=False)
    command = [sys.executable, "-m", "retrace", "predict", str(source), "--out", str(out)]
    process = subprocess.Popen(command, cwd=released_wine, env=ENVIRONMENT)
    first = tmp_path / "out.csv.parts/00000000.csv"
    while not first.exists():
        time.sleep(0.01)
    process.kill()
    process.wait()
    assert not out.exists()
    lines = first.read_text().splitlines(keepends=True)
    first.write_text("".join([*lines[:1], "marked\n", *lines[2:]]))
    assert predict(released_wine, source, out).returncode == 0
    assert out.read_text().splitlines()[1] == "marked", "the first part is not made again"
    source.touch()  # other rows, as far as can be seen
    assert predict(released_wine, source, out).returncode == 0
    found = read(out)
    assert len(found) == len(rows) * 4000
    assert (
        found["prediction_0"].to_numpy().reshape(4000, -1) == found["prediction_0"].head(len(rows)).to_numpy()
    ).all()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda rows: rows.drop(columns="alcohol"), "has no column alcohol; the model needs it"),
        (lambda rows: rows.assign(alcohol="strong"), "row 1: column alcohol: must be a number, or empty"),
        (lambda rows: rows.assign(prediction_0=1), "has a column prediction_0, as the predictions; rename it"),
        (lambda _rows: b"PAR1", "can't be read as parquet"),
    ],
)
def test_wrong_rows_are_one_line(released_wine: Path, rows: pd.DataFrame, tmp_path: Path, change, told: str):
    file = tmp_path / "rows.parquet"
    wrong = change(rows)
    file.write_bytes(wrong) if isinstance(wrong, bytes) else wrong.to_parquet(file)
    done = predict(released_wine, file, tmp_path / "out.parquet")
    assert (done.returncode, done.stderr.count("\n")) == (1, 1), done.stderr
    assert done.stderr.startswith(f"{file}: {told}")
    assert not (tmp_path / "out.parquet").exists()


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files are predicted in parts of 10 rows, if the command runs in this process."""
    monkeypatch.setattr(batch, "BATCH_SIZE", 10)


@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize(("kind", "value"), [(".csv", "Sec-ret"), (".jsonl", "Sec-ret"), (".jsonl", 10**30)])
def test_the_first_wrong_cell_is_told_by_its_row_in_the_file_and_without_its_value(
    released_wine: Path, rows: pd.DataFrame, tmp_path: Path, kind: str, value: object
):
    folder = tmp_path / "rows"
    folder.mkdir()
    write(rows, folder / f"1{kind}")
    wrong = rows.astype(object)
    wrong.loc[wrong.index[[22, 25]], "alcohol"] = value
    write(wrong, folder / f"2{kind}")
    done = retrace("predict", str(folder), "--out", str(tmp_path / f"out{kind}"), cwd=released_wine)
    problem = "must be a number, or empty" if kind == ".csv" else "has another type than the values before it"
    assert done.stderr == f"{folder}/2{kind}: row 23: column alcohol: {problem}\n"


@pytest.fixture(scope="module")
def difficult_rows(released_demo: Path) -> pd.DataFrame:
    """100 rows of the demo, with values that pandas reads with another type if all or some in a part are missing."""
    rows = read_table(released_demo / "data/split/valid.parquet").head(100)
    number = pd.Series(range(100))
    rows["carrier"] = rows["carrier"].where(number >= 50)
    rows["dest"] = pd.Series(range(2**60, 2**60 + 100), dtype="Int64").where(number % 30 > 0)
    rows["count"] = number.astype("Int64").where(number % 40 > 0)
    rows["certain"] = (number % 3 > 0).astype(object).where(number % 40 > 0, None)
    rows["kind"] = pd.Series(["b", "a"] * 50).where(number >= 30).astype("category")
    rows["day"] = pd.Series([date(2013, 1, 1)] * 100, dtype=object).where(number >= 30, None)
    return rows.set_index(number + 7)


@pytest.mark.parametrize("kind", [".csv", ".parquet", ".jsonl"])
def test_the_result_has_the_same_bytes_in_1_3_or_50_parts(
    released_demo: Path, difficult_rows: pd.DataFrame, tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(batch, "CELLS_IN_ROW_GROUP", 40 * (len(difficult_rows.columns) + 1))
    file, results = tmp_path / f"rows{kind}", set()
    objects = difficult_rows.astype(object)
    write(objects.where(objects.notna(), None) if kind == ".jsonl" else difficult_rows, file)
    for size in (100, 34, 2):
        monkeypatch.setattr(batch, "BATCH_SIZE", size)
        out = tmp_path / f"{size}{kind}"
        done = retrace("predict", str(file), "--out", str(out), cwd=released_demo)
        assert done.returncode == 0, done.stderr
        results.add(out.read_bytes())
    assert len(results) == 1
    if kind == ".parquet":
        groups = pq.ParquetFile(out).metadata
        assert [groups.row_group(number).num_rows for number in range(3)] == [40, 40, 20]
        found = pd.read_parquet(out).drop(columns="prediction")
        expected = difficult_rows.reset_index(drop=True).astype({"kind": "str"})
        pd.testing.assert_frame_equal(found, expected)


@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize("kind", [".parquet", ".jsonl"])
@pytest.mark.parametrize(("value", "text"), [(2**60 + 1, str(2**60 + 1)), (True, "true")])
def test_a_column_of_text_gets_the_same_text_in_parts_with_and_without_missing_values(
    tmp_path: Path, kind: str, value: object, text: str
):
    values = [None, *[value] * 19]
    file = tmp_path / f"rows{kind}"
    if kind == ".parquet":
        pq.write_table(pa.table({"code": values}), file)
    else:
        file.write_text("".join(json.dumps({"code": value}) + "\n" for value in values))
    parts = [part.inputs["code"].to_pylist() for part in read_parts(file, {"code": "text"})]
    assert parts == [[None, *[text] * 9], [text] * 10]


@pytest.mark.usefixtures("small_parts")
def test_a_column_that_is_there_twice_is_named(tmp_path: Path):
    file = tmp_path / "rows.parquet"
    pq.write_table(pa.table([[1], [2]], names=["code", "code"]), file)
    with pytest.raises(UserError, match=r"rows\.parquet: has the column code twice; rename one"):
        list(read_parts(file, {"code": "text"}))


@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda row: row.pop("alcohol"), "column alcohol: is missing; null is allowed"),
        (lambda row: row.update(alcohol="13.1"), "column alcohol: has another type than the values before it"),
    ],
)
def test_a_row_of_json_is_wrong_wherever_a_part_begins(
    released_wine: Path, rows: pd.DataFrame, tmp_path: Path, change: Callable[[dict[str, object]], object], told: str
):
    objects = rows.head(30).to_dict("records")
    for row in objects[10:]:
        change(row)
    file = tmp_path / "rows.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in objects))
    done = retrace("predict", str(file), "--out", str(tmp_path / "out.jsonl"), cwd=released_wine)
    assert done.stderr == f"{file}: row 11: {told}\n"
    file.write_text('["alcohol"]\n')
    done = retrace("predict", str(file), "--out", str(tmp_path / "out.jsonl"), cwd=released_wine)
    assert done.stderr == f"{file}: row 1: must be an object with a value for each column\n"


@pytest.fixture
def unknown_carriers(released_demo: Path, tmp_path: Path) -> Path:
    """A file of 40 rows of the demo, of which every second one has a carrier that train doesn't have."""
    rows = read_table(released_demo / "data/split/valid.parquet").head(40)
    rows.loc[rows.index[1::2], "carrier"] = "Sec-ret"
    rows.to_csv(tmp_path / "rows.csv", index=False)
    return tmp_path / "rows.csv"


def warning(file: Path, row: int) -> str:
    return f"{file}: row {row}: column carrier: fewer than 10 rows of train have this category"


@pytest.mark.usefixtures("small_parts")
def test_unseen_categories_are_told_by_their_row_in_the_file_but_only_the_first_20(
    released_demo: Path, tmp_path: Path, unknown_carriers: Path
):
    done = retrace("predict", str(unknown_carriers), "--out", str(tmp_path / "out.csv"), cwd=released_demo)
    assert done.stdout == f"{tmp_path}/out.csv: 40 predictions by late-flights v1.0.0\n"
    assert done.stderr.splitlines() == [warning(unknown_carriers, row) for row in range(2, 41, 2)]
    folder = tmp_path / "rows"
    folder.mkdir()
    for name in ("1.csv", "2.csv"):
        shutil.copy(unknown_carriers, folder / name)
    done = retrace("predict", str(folder), "--out", str(tmp_path / "out.csv"), cwd=released_demo)
    told = [warning(folder / "1.csv", row) for row in range(2, 41, 2)]
    assert done.stderr.splitlines() == [*told, "and more warnings"]


@pytest.mark.usefixtures("small_parts")
def test_unseen_categories_of_the_parts_before_an_interruption_are_told_too(
    released_demo: Path, tmp_path: Path, unknown_carriers: Path, monkeypatch: pytest.MonkeyPatch
):
    def interrupted_in_the_third_part(part: Part, predicted: pd.DataFrame, written: Path, target: Path) -> None:
        if target.stem == "00000002":
            raise InterruptedError
        write_part(part, predicted, written, target)

    words = ("predict", str(unknown_carriers), "--out", str(tmp_path / "out.csv"))
    with monkeypatch.context() as patch:
        patch.setattr(batch, "write_part", interrupted_in_the_third_part)
        with pytest.raises(InterruptedError):
            retrace(*words, cwd=released_demo)
    done = retrace(*words, cwd=released_demo)
    assert done.stderr.splitlines() == [warning(unknown_carriers, row) for row in range(2, 41, 2)]


def test_a_wrong_ending_is_one_line(released_wine: Path, tmp_path: Path):
    done = predict(released_wine, tmp_path / "rows.csv", tmp_path / "out.csv")
    assert done.stderr == f"{tmp_path}/rows.csv: no such file or folder\n"
    (tmp_path / "rows.xlsx").touch()
    done = predict(released_wine, tmp_path / "rows.xlsx", tmp_path / "out.csv")
    assert done.stderr == f"{tmp_path}/rows.xlsx: no file that ends with .csv or .parquet or .jsonl\n"
    (tmp_path / "rows.csv").write_text("alcohol\n")
    done = predict(released_wine, tmp_path / "rows.csv", tmp_path / "rows.csv")
    assert done.stderr == f"--out {tmp_path}/rows.csv: is the file with the rows; name another one\n"
    done = predict(released_wine, tmp_path / "rows.csv", tmp_path / "out.csv")
    assert done.stderr == f"{tmp_path}/rows.csv: has no rows\n"
    assert not (tmp_path / "out.csv.parts").exists()
    done = predict(released_wine, tmp_path / "rows.csv", tmp_path / "out.txt")
    assert done.stderr == f"{tmp_path}/rows.csv: ends with .csv, and --out with .txt; use one kind\n"
