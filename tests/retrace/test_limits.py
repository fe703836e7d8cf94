"""Content that would crash a parser, keep it busy without end or fill the memory is refused in one line before that."""

import gzip
import json
import time
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet
import pytest

from retrace import limits
from retrace.adopt.dialect import understand
from retrace.limits import check_table, read_json
from retrace.review.results import read_results
from retrace.review.revision import FOLDER, Revision
from retrace.yaml_files import read_yaml, read_yaml_text
from src.datasets import table
from tests.conftest import check, commit

DEEP = 200_000
LAUGHS = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{one}: &{one} [{', '.join([f'*{before}'] * 9)}]\n" for before, one in zip("abcdefgh", "bcdefghi", strict=True)
)


def read(file: Path) -> pd.DataFrame:
    return pd.concat(table.read(file)["table"])


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("a: " + "[" * DEEP + "]" * DEEP, "nested deeper than 50 levels"),
        ("a: " + "{b: " * DEEP + "}" * DEEP, "nested deeper than 50 levels"),
        ("".join(" " * n + f"k{n}:\n" for n in range(1000)), "nested deeper than 50 levels"),
        (LAUGHS, "references multiply"),
        ("a: &a [*a]", r"the reference \*a contains itself"),
        ("a: " + "x" * (limits.MOST_BYTES + 1), "larger than"),
    ],
)
def test_yaml_that_is_too_deep_or_large_is_refused_at_once(text: str, reason: str):
    began = time.perf_counter()
    with pytest.raises(SystemExit, match=f"^params.yaml: .*{reason}") as error:
        read_yaml_text(text, "params.yaml")
    assert "\n" not in str(error.value)
    assert time.perf_counter() - began < 5


def test_yaml_with_ordinary_references_is_read():
    assert read_yaml_text("a: &a {x: 1}\nb: *a\nc: [*a, *a]", "x")["c"] == [{"x": 1}, {"x": 1}]


def test_a_yaml_file_that_is_too_large_is_not_even_read(tmp_path: Path):
    file = tmp_path / "dvc.lock"
    with file.open("wb") as stream:
        stream.truncate(10 * limits.MOST_BYTES)
    with pytest.raises(SystemExit, match="larger than"):
        read_yaml(file)


@pytest.mark.parametrize("text", ["[" * DEEP + "]" * DEEP, "[" * 60 + "]" * 60, f'{{"rows": 1{"0" * 4000}}}', "[1"])
def test_json_that_is_too_deep_or_holds_endless_numbers_is_refused(text: str):
    with pytest.raises(ValueError, match=r"."):
        read_json(text)


def test_results_of_a_stranger_are_limited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    metrics = tmp_path / "metrics"
    metrics.mkdir()
    (metrics / "data.json").write_text("[" * DEEP)
    for name in ("evaluation.json", "slices.json", "refits.csv"):
        (metrics / name).write_text("{}")
    with (metrics / "bootstrap.csv").open("wb") as stream:
        stream.truncate(limits.MOST_BYTES + 1)
    check("git", "init", "--quiet", cwd=tmp_path)
    commit(tmp_path)
    head = Revision.of("HEAD")
    for revision in (FOLDER, head):
        with pytest.raises(SystemExit, match="not JSON"):
            revision.json("metrics/data.json")
        with pytest.raises(SystemExit, match="larger than"):
            read_results(revision)


def test_gzip_that_expands_a_thousandfold_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(limits, "MOST_EXPANDED", 5_000_000)
    file = tmp_path / "bomb.csv.gz"
    with gzip.open(file, "wb") as stream:
        stream.write(b"size,price\n")
        for _ in range(20):
            stream.write(b"1,2\n" * 250_000)
    for refused in (lambda: read(file), lambda: understand(file)):
        with pytest.raises(SystemExit, match=r"bomb.csv.gz: expands more than 500 times"):
            refused()


def test_gzip_of_an_ordinary_table_is_read_however_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(limits, "MOST_EXPANDED", 10_000)
    file = tmp_path / "table.csv.gz"
    file.write_bytes(gzip.compress(("size,price\n" + "".join(f"{n},{n % 7}\n" for n in range(50_000))).encode()))
    assert len(read(file)) == 50_000


@pytest.mark.parametrize("nested", [False, True])
def test_parquet_that_repeats_a_long_text_without_end_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, nested: bool
):
    monkeypatch.setattr(limits, "MOST_EXPANDED", 5_000_000)
    file, texts = tmp_path / "bomb.parquet", pa.array(["x" * 1000]).take(pa.array([0] * 300_000))
    column = pa.StructArray.from_arrays([texts], ["inner"]) if nested else texts
    pa.parquet.write_table(pa.table({"name": column}), file, compression="zstd")
    with pytest.raises(SystemExit, match="column name holds struct" if nested else "repeats long texts"):
        read(file)
    pa.parquet.write_table(pa.table({"name": [f"name {n % 90_000}" for n in range(300_000)]}), file)
    assert len(read(file)) == 300_000


def test_parquet_that_expands_without_end_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(limits, "MOST_EXPANDED", 5_000_000)
    texts = pa.table({"name": pa.array(["x" * 1_000_000] * 10)})
    pa.parquet.write_table(texts, tmp_path / "bomb.parquet", compression="zstd", use_dictionary=False)
    with pytest.raises(SystemExit, match="more than 500 times its size"):
        read(tmp_path / "bomb.parquet")


def test_parquet_that_declares_endless_rows_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(limits, "MOST_EXPANDED", 5_000_000)
    file = tmp_path / "bomb.parquet"
    pa.parquet.write_table(pa.table({"size": pa.array([1]).take(pa.array([0] * 3_000_000))}), file)
    assert file.stat().st_size < 50_000
    with pytest.raises(SystemExit, match="declares 3,000,000 rows of 1 columns, more than 500 times its size"):
        read(file)
    ordinary = tmp_path / "table.parquet"
    pd.DataFrame({"size": range(1_000_000)}).to_parquet(ordinary)
    assert len(read(ordinary)) == 1_000_000


@pytest.mark.parametrize("packed", [False, True])
def test_a_deep_line_of_json_is_refused_where_pyarrow_would_crash(tmp_path: Path, packed: bool):
    lines = "".join(json.dumps({"size": n, "price": 2.5}) + "\n" for n in range(60))
    deep = lines + '{"size": ' + "[" * DEEP + "]" * DEEP + "}\n"
    file = tmp_path / ("deep.jsonl.gz" if packed else "deep.jsonl")
    file.write_bytes(gzip.compress(deep.encode()) if packed else deep.encode())
    for refused in (lambda: read(file), lambda: understand(file)):
        with pytest.raises(SystemExit, match="line 61 is nested too deep"):
            refused()


@pytest.mark.parametrize(
    "opening",
    [
        '{"a":\n',
        "[\n",
        '{"a": ["]", \n',
        "[" * 90 + "\n",
        "[" * 60 + "\n[" + ",".join(["[]"] * 60) + "]\n,\n",  # a line that is whole by itself in between
    ],
)
def test_json_that_is_nested_over_many_lines_is_refused(tmp_path: Path, opening: str):
    file = tmp_path / "deep.jsonl"
    file.write_text('{"size": 1}\n' + opening * DEEP)
    for refused in (lambda: read(file), lambda: understand(file)):
        with pytest.raises(SystemExit, match=r"line \d+ is nested too deep"):
            refused()


def test_brackets_in_text_or_side_by_side_are_not_deep(tmp_path: Path):
    file = tmp_path / "wide.jsonl"
    row = {"size": 1, "price": 2.5, "said": '[[["' * 50, "many": [[n] for n in range(300)]}
    file.write_text(f"{json.dumps(row)}\n" * 60)
    check_table(file)


def test_a_million_columns_are_refused(tmp_path: Path):
    file = tmp_path / "wide.csv"
    file.write_text(",".join(f"c{n}" for n in range(110_000)) + "\n" + ",".join("1" * 110_000) + "\n")
    with pytest.raises(SystemExit, match="has 110,000 columns, and 100,000 are the most"):
        read(file)
