"""One table of any kind is read as it is, or refused in one line that shows none of its values."""

import errno
import gzip
import hashlib
import os
from datetime import date, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrace import row_ids
from retrace.params import Data
from src.datasets import table
from tests.conftest import ROLES


def read(file: Path, **how: Any) -> pd.DataFrame:
    return table.read(file, **how)["table"]


def data(**roles: Any) -> Data:
    return Data(**ROLES | {"source": "x.csv", "read": {}, "target": "y", "task": "classification"} | roles)


FRAME = pd.DataFrame(
    {
        "size": [1.5, 2.25, None],
        "rooms": [1, 2, 3],
        "city": ["Bern", "Zürich", "NA; nein"],
        "sold": [True, False, True],
        "when": pd.to_datetime(["2020-01-01", "2020-01-02", "2020-01-03"]).astype("datetime64[us]"),
    }
)


@pytest.mark.parametrize("suffix", ["csv", "tsv", "parquet", "jsonl", "csv.gz"])
def test_every_kind_of_file_gives_the_same_table(tmp_path: Path, suffix: str):
    file = tmp_path / f"a.{suffix}"
    match suffix.split(".", maxsplit=1)[0]:
        case "parquet":
            FRAME.to_parquet(file)
        case "jsonl":
            FRAME.assign(when=FRAME["when"].astype(str)).to_json(file, orient="records", lines=True)
        case kind:
            FRAME.to_csv(file, index=False, sep="\t" if kind == "tsv" else ",")
    pd.testing.assert_frame_equal(read(file), FRAME)


def test_a_european_csv_is_read_as_its_parameters_say(tmp_path: Path):
    file = tmp_path / "a.csv"
    file.write_bytes("größe;plz;datum\n1,5;01234;31.12.2020\n2,5;99999;01.02.2021\n".encode("latin-1"))
    how = {"separator": ";", "decimal": ",", "encoding": "latin-1", "types": {"plz": "text", "datum": "%d.%m.%Y"}}
    frame = read(file, **how)
    assert frame["größe"].tolist() == [1.5, 2.5]
    assert frame["plz"].tolist() == ["01234", "99999"]
    assert frame["datum"].tolist() == [pd.Timestamp(2020, 12, 31), pd.Timestamp(2021, 2, 1)]


@pytest.mark.parametrize("suffix", ["csv", "jsonl"])
def test_each_date_has_its_own_format(tmp_path: Path, suffix: str):
    file, frame = tmp_path / f"a.{suffix}", pd.DataFrame({"a": ["03/04/2020"], "b": ["03/04/2020"]})
    frame.to_csv(file, index=False) if suffix == "csv" else frame.to_json(file, orient="records", lines=True)
    back = read(file, types={"a": "%d/%m/%Y", "b": "%m/%d/%Y"})
    assert back.iloc[0].tolist() == [pd.Timestamp(2020, 4, 3), pd.Timestamp(2020, 3, 4)]
    with pytest.raises(SystemExit, match="column a, row 1 of the data: not a date as %Y") as error:
        read(file, types={"a": "%Y"})
    assert "03/04" not in str(error.value)


def test_a_day_that_no_month_has_is_no_date(tmp_path: Path):
    (tmp_path / "a.csv").write_text("a\n28.02.2020\n31.02.2020\n")
    with pytest.raises(SystemExit, match=r"column a, row 2 of the data: not a date as %d.%m.%Y"):
        read(tmp_path / "a.csv", types={"a": "%d.%m.%Y"})


def test_whole_numbers_that_no_float_keeps_are_text(tmp_path: Path):
    table = pd.DataFrame({"a": pd.array([10**17 + 1, None], dtype="Int64"), "b": pd.array([2**64 - 1, 1], "UInt64")})
    table.to_parquet(tmp_path / "a.parquet")
    found = read(tmp_path / "a.parquet").astype("str").fillna("missing")
    assert found["a"].tolist() == ["100000000000000001", "missing"]
    assert found["b"].tolist() == ["18446744073709551615", "1"]


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_a_time_of_day_is_a_number_of_hours(tmp_path: Path, suffix: str):
    file, table = tmp_path / f"a.{suffix}", pd.DataFrame({"a": [time(13, 30), None, time(0, 0, 36)]})
    table.to_csv(file) if suffix == "csv" else table.to_parquet(file)
    assert read(file)["a"].tolist() == pytest.approx([13.5, np.nan, 0.01], nan_ok=True)


def test_nanoseconds_are_cut_to_microseconds(tmp_path: Path):
    pd.DataFrame({"a": pd.to_datetime([1577836800000000001])}).to_parquet(tmp_path / "a.parquet")
    assert read(tmp_path / "a.parquet")["a"].tolist() == [pd.Timestamp(2020, 1, 1)]


def test_a_folder_is_one_table_in_the_order_of_names(tmp_path: Path):
    (tmp_path / ".ipynb_checkpoints").mkdir()
    FRAME.to_csv(tmp_path / ".ipynb_checkpoints/a.csv", index=False)
    FRAME[1:].to_csv(tmp_path / "b.csv", index=False)
    FRAME[:1].to_csv(tmp_path / "a.csv", index=False)
    pd.testing.assert_frame_equal(read(tmp_path), FRAME)


@pytest.mark.parametrize(
    ("name", "content", "line"),
    [
        ("a.csv", b"", "empty"),
        ("a.csv", b"a,b\n1,2\nsecret\n", "row 2 (line 3 of the file) has more or fewer cells"),
        ("a.csv", b"a,b\n1,2\n1,2,secret\n", "row 2 (line 3 of the file) has more or fewer cells"),
        ("a.csv", b"a,a\n1,2\n", "the column a is duplicated"),
        ("a.csv", "a\né\n".encode("latin-1"), "column a is not text in the encoding"),
        ("a.parquet", b"PAR1secret", "not a complete table"),
        ("a.jsonl", b'{"a": 1}\n{"a": secret', "line 2 is not valid JSON"),
        ("a.jsonl", b'{"a": [1]}\n', "column a holds list"),
        ("a.jsonl", b'{"a": 1}\n{"a": "secret"}\n', "column a holds a number in one line and a string in another"),
        ("a.jsonl", b'{"a": 1}\n\n{"b": 2, "a": "secret"}\n', "a string in another, line 3; correct it"),
        ("a.csv", b'a,b\n"1\n1",2\n\n1,2,secret\n', "row 2 (line 5 of the file) has more or fewer cells"),
        ("a.CSV.GZ", gzip.compress(b"a,b\n1,2\n", mtime=0), "rename it so that it ends in .gz, in lowercase"),
        ("a.csv", b"z,z\n01,2\n", "the column z is duplicated"),
        ("a.csv.gz", gzip.compress(b"a,b\n" * 999, mtime=0)[:20], "not a complete table"),
        ("a.xlsx", b"PK", "not a table that can be read"),
        ("a.csv", b"a,b\n1,2\n", "no column z (data.read.types"),
    ],
)
def test_what_is_not_a_table_is_refused_in_one_line(tmp_path: Path, name: str, content: bytes, line: str):
    (tmp_path / name).write_bytes(content)
    types = {"z": "text"} if "column z" in line else {}
    with pytest.raises(SystemExit) as error:
        read(tmp_path / name, types=types)
    assert line in str(error.value)
    assert "\n" not in str(error.value)
    assert "secret" not in str(error.value)


def test_a_name_that_parquet_has_twice_is_named(tmp_path: Path):
    pa.parquet.write_table(pa.table([pa.array([1]), pa.array([2])], names=["a", "a"]), tmp_path / "a.parquet")
    with pytest.raises(SystemExit, match="the column a is duplicated"):
        read(tmp_path / "a.parquet")


def test_a_column_without_a_name_is_called_as_pandas_calls_it(tmp_path: Path):
    FRAME.to_csv(tmp_path / "a.csv")
    assert [*read(tmp_path / "a.csv")] == [*pd.read_csv(tmp_path / "a.csv")] == ["Unnamed: 0", *FRAME]


def test_a_column_that_is_not_of_its_stated_type_is_one_line(tmp_path: Path):
    (tmp_path / "a.csv").write_text("a,b\n1,secret\n")
    with pytest.raises(SystemExit, match=r"column b, row 1 of the data: not a number") as error:
        read(tmp_path / "a.csv", types={"b": "number"})
    assert "secret" not in str(error.value)


def test_files_of_other_columns_are_refused(tmp_path: Path):
    (tmp_path / "a.csv").write_text("a\n1\n")
    (tmp_path / "b.csv").write_text("b\n1\n")
    with pytest.raises(SystemExit, match="is not in every file of the folder"):
        read(tmp_path)


def test_a_column_of_other_types_in_other_files_is_refused_by_name(tmp_path: Path):
    (tmp_path / "a.csv").write_text("a,b\n1,1\n")
    (tmp_path / "b.csv").write_text("a,b\n1.5,secret\n")
    with pytest.raises(SystemExit, match="column b is int64 and string in different files; correct them"):
        read(tmp_path)


def test_a_subfolder_that_cannot_be_listed_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    for name in ("open/a.csv", "shut/b.csv", ".hidden/c.csv"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text("a,b\n1,2\n")
    usual = os.scandir

    def refuse(folder: str) -> Any:
        if Path(folder).name in ("shut", ".hidden"):
            raise PermissionError(errno.EACCES, "Permission denied", folder)  # which root never meets
        return usual(folder)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(SystemExit, match="/shut: cannot be read: Permission denied"):
        read(tmp_path)


def test_an_empty_folder_is_refused(tmp_path: Path):
    with pytest.raises(SystemExit, match="an empty folder"):
        read(tmp_path)


names = st.text(st.characters(blacklist_categories=["Cs", "Cc"]), min_size=1, max_size=6).map(lambda name: f"x{name}")
cells = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\x00\r"), max_size=8)


@given(st.integers(1, 8).flatmap(lambda n: st.dictionaries(names, st.lists(cells, min_size=n, max_size=n), min_size=1)))
def test_any_text_and_any_names_come_back_from_csv(tmp_path_factory: pytest.TempPathFactory, columns: dict[str, Any]):
    file = tmp_path_factory.mktemp("csv") / "a.csv"
    frame = pd.DataFrame(columns, dtype="str")
    frame.to_csv(file, index=False, quoting=1)
    back = read(file, types=dict.fromkeys(columns, "text"))
    expected = frame.where(~frame.isin(table.MISSING))
    pd.testing.assert_frame_equal(back, expected)


def ids_of(file: Path, columns: list[str], text: str, **how: Any) -> list[str]:
    """The ids that the rows of a CSV file get."""
    file.write_text(text)
    given = data(id_columns=columns, target="y", read=how)
    return table.prepare(table.read(file, **how), given)["row_id"].tolist()


CELLS = {
    "whole": [1, 2, 10**6],
    "decimal": [0.1, 1e-7, 123456.789],
    "dose": ["1.50", "2", "-0.0"],
    "zip": ["007", "10", "8"],
    "flag": ["true", "false", "true"],
    "day": ["2020-01-31", "2020-02-01", "1999-12-31"],
    "moment": ["2020-01-31 10:00:00", "2020-01-31T10:30:01", "2020-02-01 00:00:00"],
    "zoned": ["2020-01-31T10:00:00Z", "2020-01-31T10:00:00+02:00", "2020-01-31T10:00:00-01:30"],
    "clock": ["10:20", "23:59", "00:01"],
    "text": ["a", "b; c", "é"],
}
FIRST_ROW = ["1", "0.1", "1.5", "7", "1", "2020-01-31", *["2020-01-31T10:00:00"] * 2, "10.333333333333334", "a"]


@pytest.mark.parametrize("changed", CELLS)
@pytest.mark.parametrize("cell", ["", "some text"])
def test_ids_stay_when_a_new_row_changes_the_type_of_a_column(tmp_path: Path, changed: str, cell: str):
    rows = pd.DataFrame(CELLS | {"y": [0, 1, 0]}, dtype=object)
    before = ids_of(tmp_path / "a.csv", list(CELLS), rows.to_csv(index=False))
    more = pd.concat([rows, rows.iloc[[0]].assign(**{changed: cell})])
    after = ids_of(tmp_path / "a.csv", list(CELLS), more.to_csv(index=False))
    assert after[:3] == before
    assert len(set(after)) == 4


def test_an_id_is_a_hash_of_the_canonical_texts_that_no_version_of_a_package_changes(tmp_path: Path):
    rows = pd.DataFrame(CELLS | {"y": [0, 1, 0]}, dtype=object)
    digest = hashlib.blake2b("\x1f".join(FIRST_ROW).encode(), digest_size=8).hexdigest()
    assert digest == "815f45eec4e6ca9e"
    assert ids_of(tmp_path / "a.csv", list(CELLS), rows.to_csv(index=False))[0] == f"{digest}-0"


def test_ids_stay_when_columns_are_added_renamed_or_moved_and_the_target_is_corrected(tmp_path: Path):
    rows = pd.DataFrame(CELLS | {"y": [0, 1, 0]}, dtype=object)
    before = ids_of(tmp_path / "a.csv", list(CELLS), rows.to_csv(index=False))
    other = rows.assign(y=[1, 1, 0], new=7).rename(columns={"zip": "postcode"})[::-1].iloc[:, ::-1]
    names = ["postcode" if name == "zip" else name for name in CELLS]
    assert ids_of(tmp_path / "a.csv", names, other.to_csv(index=False)) == before[::-1]


@pytest.mark.parametrize(
    ("alike", "different"),
    [
        (["1", "1.0", "01", "1e0", "+1", " 1 "], ["10", "-1", "1.01"]),
        (["0", "-0", "0.0", "-0.0", "0,0"], ["", "00.1"]),
        (["1.5", "1,5", "1.50", "15e-1"], ["15", "1.5.0"]),
        (["true", "TRUE", "True", "1"], ["yes", "t"]),
        (["", "NA", "null", "?", "  "], ["none", "-"]),
        (["2020-01-31", "2020-01-31 00:00", "2020-01-31T00:00:00Z"], ["2020-01-30", "2020-01-32"]),
        (["1/2/2020 7:00", "01/02/2020 07:00"], ["2/1/2020 7:00", "01/02/2020 17:00"]),
        (["100000000000000001", "+100000000000000001"], ["100000000000000002"]),
        (["inf", "Infinity", "+inf"], ["-inf", "info"]),
    ],
)
def test_the_canonical_text_of_a_cell_is_what_it_means(alike: list[str], different: list[str]):
    assert len(set(row_ids.canonical(pd.Series(alike, dtype="str")))) == 1
    assert not set(row_ids.canonical(pd.Series(alike, dtype="str"))) & set(row_ids.canonical(pd.Series(different)))


def test_a_date_with_a_format_keeps_its_id_when_it_is_read_as_text(tmp_path: Path):
    rows = "when,y\n31.12.2020,1\n1.2.2021,0\n"
    dated = ids_of(tmp_path / "a.csv", ["when"], rows, types={"when": "%d.%m.%Y"})
    assert ids_of(tmp_path / "a.csv", ["when"], f"{rows}soon,0\n")[:2] == dated


@given(st.lists(st.floats(allow_nan=False), min_size=1, max_size=5))
def test_numbers_have_the_same_text_whatever_the_type(numbers: list[float]):
    texts = row_ids.canonical(pd.Series(numbers))
    assert row_ids.canonical(pd.Series([repr(number) for number in numbers], dtype="str")) == texts
    assert row_ids.canonical(pd.Series([f"{number:.25e}" for number in numbers], dtype="str")) == texts
    whole = [int(number) for number in numbers if abs(number) < 2**53]
    assert row_ids.canonical(pd.Series(whole, dtype="int64")) == row_ids.canonical(pd.Series(whole, dtype="float64"))


def test_rows_that_are_alike_are_numbered_in_the_order_of_the_file():
    raw = pd.DataFrame({"x": [1, 2, 1, 1], "y": ["a", "b", "b", "a"]})
    ids = table.prepare({"table": raw}, data(id_columns=["x"]))["row_id"]
    hashes, numbers = zip(*ids.str.split("-"), strict=True)
    assert numbers == ("0", "0", "1", "2")
    assert len(set(hashes)) == 2
    reordered = table.prepare({"table": raw[::-1].reset_index(drop=True)}, data(id_columns=["x"]))["row_id"]
    assert set(reordered) == set(ids), "ids stay when rows move"


def test_ids_do_not_depend_on_how_many_rows_are_hashed_at_once(monkeypatch: pytest.MonkeyPatch):
    raw = pd.DataFrame({"x": np.arange(100) // 2, "z": [None, "a"] * 50})
    whole = row_ids.row_ids(raw, ["x", "z"], {})
    monkeypatch.setattr(row_ids, "ROWS_AT_ONCE", 7)
    assert row_ids.row_ids(raw, ["x", "z"], {}) == whole


def test_an_id_of_ones_own_stays_when_a_new_row_changes_its_type(tmp_path: Path):
    for cells, file in ((["7", "10"], "a.csv"), (["7", "10", "x1"], "b.csv"), (["7", "10", "0.5"], "c.csv")):
        pd.DataFrame({"id": cells, "x": 1, "y": 0}).to_csv(tmp_path / file, index=False)
        prepared = table.prepare(table.read(tmp_path / file), data(id="id"))
        assert prepared["id"].tolist() == cells


def test_dates_become_features_and_rows_without_target_go():
    raw = pd.DataFrame({"when": FRAME["when"], "built": FRAME["when"], "y": [1.0, None, 0.0]})
    prepared = table.prepare({"table": raw}, data(time="when", id_columns=["built"]))
    assert prepared["y"].tolist() == [1, 0]
    assert prepared.attrs["dropped"] == {"no target": 1}
    assert list(prepared.columns) == [
        "row_id",
        "when",
        "y",
        *[f"when ({part})" for part in ("month", "weekday", "hour")],
        *[f"built ({part})" for part in ("month", "weekday", "hour", "day")],
    ]


def test_an_id_that_is_not_there_is_one_line():
    with pytest.raises(SystemExit, match=r"data.id: x.csv has no column flight"):
        table.prepare({"table": pd.DataFrame({"y": [1]})}, data(id="flight"))


def test_dates_with_a_role_stay_as_they_are():
    raw = pd.DataFrame({"when": FRAME["when"], "built": FRAME["when"], "y": [1, 0, 1]})
    prepared = table.prepare({"table": raw}, data(id="when", group="built"))
    assert list(prepared.columns) == ["when", "built", "y"]


@pytest.mark.parametrize(
    ("raw", "line"),
    [
        ({"a": [1]}, "data.target: x.csv has no column y"),
        ({"y": [pd.Timestamp(0)]}, "data.target: y is a date, which can't be predicted"),
        ({"y": [1], "row_id": [1]}, "data.id: the table has a column row_id"),
        (
            {"y": [1]},
            "data.id_columns: x.csv has no column x; if it was renamed, write its new name there",
        ),
    ],
)
def test_a_role_that_cannot_be_filled_is_one_line(raw: dict[str, Any], line: str):
    with pytest.raises(SystemExit, match=line):
        table.prepare({"table": pd.DataFrame(raw)}, data(id_columns=["x"]))


def test_no_columns_for_the_ids_is_one_line():
    with pytest.raises(SystemExit, match=r"data.id_columns: empty, and data.id is null") as error:
        table.prepare({"table": pd.DataFrame({"x": [1], "y": [1]})}, data())
    assert "\n" not in str(error.value)


def parquet(folder: Path, column: pa.Array | pa.ChunkedArray) -> pd.Series:
    pa.parquet.write_table(pa.table({"a": column}), folder / "a.parquet")
    return read(folder / "a.parquet")["a"]


@pytest.mark.parametrize(
    ("column", "values"),
    [
        (pa.array(["x", None, "y"], pa.string_view()), ["x", None, "y"]),
        (pa.array(["x", None, "y"], pa.large_string()), ["x", None, "y"]),
        (pa.array(["x", None, "y"]).dictionary_encode(), ["x", None, "y"]),
        (pa.array([1, 2, 1]).dictionary_encode(), [1, 2, 1]),
        (pa.array([1.5, 2], pa.float16()), [1.5, 2]),
        (pa.array([Decimal("1.50"), None]), [1.5, None]),
        (pa.array([Decimal(f"{n / 100:.2f}") for n in range(300)]), [float(f"{n / 100:.2f}") for n in range(300)]),
        (pa.array([Decimal("0.000001"), Decimal("12345678901.123456")]), [1e-6, 12345678901.123456]),
        (pa.array([Decimal(7), Decimal(8)], pa.decimal128(38, 0)), [7, 8]),
        (pa.array([Decimal(2**70), Decimal(8)], pa.decimal128(38, 0)), [str(2**70), "8"]),
        (pa.array([2**64 - 1, 1], pa.uint64()), [str(2**64 - 1), "1"]),
        (pa.array([True, None]), ["true", None]),
        (pa.ExtensionArray.from_storage(pa.json_(), pa.array(["{}", None])), ["{}", None]),
        (pa.array([date(9999, 12, 31), date(1500, 1, 1)]), [pd.Timestamp("9999-12-31"), pd.Timestamp("1500-01-01")]),
        (pa.array([0], pa.timestamp("s", "Europe/Berlin")), [pd.Timestamp("1970-01-01 01:00")]),
        (pa.array([0], pa.timestamp("ms", "+05:30")), [pd.Timestamp("1970-01-01 05:30")]),
    ],
)
def test_arrows_types_become_pandas_plain_ones(tmp_path: Path, column: pa.Array, values: list[Any]):
    found = parquet(tmp_path, column)
    assert str(found.dtype) in {"int64", "float64", "bool", "str", "datetime64[us]"}
    assert [None if pd.isna(value) else value for value in found] == values


@pytest.mark.parametrize(
    "column", [pa.array([[1]]), pa.array([{"b": 1}]), pa.array([b"x"], pa.binary(1)), pa.array([timedelta(1)])]
)
def test_nested_and_binary_columns_are_refused_by_name(tmp_path: Path, column: pa.Array):
    with pytest.raises(
        SystemExit, match=r"column a holds .*; only numbers, text, booleans and dates work: leave it out"
    ):
        parquet(tmp_path, column)


@pytest.mark.parametrize(
    ("cells", "how", "values"),
    [
        (["1,234.5", "-7"], {"thousands": ","}, [1234.5, -7]),
        (["1.234,5 €", "(7 €)"], {"thousands": ".", "decimal": ","}, [1234.5, -7]),
        (["1\u202f234", "5 678"], {"thousands": " "}, [1234, 5678]),
        (["12 %", "0"], {}, [12, 0]),
        (["$5-", "-$6"], {}, [-5, -6]),
        (["1.5e3", ""], {}, [1500, np.nan]),
        (["100.-", "7"], {}, [100, 7]),
        (["−3", "+4"], {}, [-3, 4]),  # noqa: RUF001  # the minus sign of typesetters
    ],
)
def test_a_column_of_numbers_may_be_dressed(tmp_path: Path, cells: list[str], how: dict[str, Any], values: list[float]):
    (tmp_path / "a.csv").write_text("a;b\n" + "".join(f"{cell};x\n" for cell in cells))
    assert read(tmp_path / "a.csv", separator=";", types={"a": "number"}, **how)["a"].tolist() == pytest.approx(
        values, nan_ok=True
    )


@pytest.mark.parametrize(
    ("cells", "line"),
    [
        (["1.5", "12,34"], "column a, row 2 of the data: not a number"),
        (["5 kg", "6 g"], "column a, row 2 of the data: a number with another unit than those before it"),
        (["5 kg", "6"], "column a, row 2 of the data: a number without the unit that others have"),
        (["5", "(6"], "column a, row 2 of the data: not a number"),
        (["1.", "01.03."], "column a, row 2 of the data: not a number"),
    ],
)
def test_a_cell_that_is_no_such_number_is_one_line_without_its_value(tmp_path: Path, cells: list[str], line: str):
    (tmp_path / "a.csv").write_text("a;b\n" + "".join(f"{cell};x\n" for cell in cells))
    with pytest.raises(SystemExit) as error:
        read(tmp_path / "a.csv", separator=";", types={"a": "number"})
    assert line in str(error.value)
    assert cells[1] not in str(error.value).removeprefix(str(tmp_path))


@pytest.mark.parametrize(("first", "second"), [("5 kg", "6 g"), ("5 kg", "6"), ("5", "6 kg")])
def test_a_unit_that_other_files_have_not_is_one_line(tmp_path: Path, first: str, second: str):
    (tmp_path / "1.csv").write_text(f"a,b\n{first},x\n")
    (tmp_path / "2.csv").write_text(f"a,b\n0,x\n{second},x\n")
    with pytest.raises(SystemExit, match=r"2.csv: column a.* unit"):
        read(tmp_path, types={"a": "number"})
    (tmp_path / "2.csv").write_text("a,b\n0,x\n")
    assert len(read(tmp_path, types={"a": "number"})) == 2, "0 needs no unit"


@pytest.mark.parametrize("suffix", ["csv", "jsonl"])
def test_a_time_with_an_offset_is_the_one_that_the_clock_showed(tmp_path: Path, suffix: str):
    frame = pd.DataFrame({"a": ["2020-01-01T23:00:00+02:00", None, "2020-07-01T01:00:00Z"], "b": [1, 2, 3]})
    file = tmp_path / f"a.{suffix}"
    frame.to_csv(file, index=False) if suffix == "csv" else frame.to_json(file, orient="records", lines=True)
    assert read(file)["a"].tolist() == [pd.Timestamp("2020-01-01 23:00"), pd.NaT, pd.Timestamp("2020-07-01 01:00")]


def test_other_arguments_say_what_belongs_to_the_table(tmp_path: Path):
    file = tmp_path / "a.csv"
    file.write_text("Sales,\n\n a , b\n x ,-999\n y,5\n  ,6\n\nTotal,11\nsource: us\n\n")
    raw = read(file, skip_rows=1, skip_footer=2, strip=True, missing=[-999])
    pd.testing.assert_frame_equal(raw, pd.DataFrame({"a": ["x", "y", None], "b": [None, 5.0, 6.0]}))


def test_missing_values_are_compared_as_text_and_as_numbers(tmp_path: Path):
    frame = pd.DataFrame({"a": [-999.0, 1.5], "b": ["-999", "x"], "c": [-999, 2]})
    for suffix in ("parquet", "csv"):
        frame.to_parquet(tmp_path / "a.parquet") if suffix == "parquet" else frame.to_csv(
            tmp_path / "a.csv", index=False
        )
        assert read(tmp_path / f"a.{suffix}", missing=["-999"]).isna().to_numpy().tolist() == [[True] * 3, [False] * 3]


@pytest.mark.parametrize("cell", [*row_ids.EXCEL_ERRORS, "\\N", "NULL", "n/a", "<NA>", "   "])
def test_what_programs_write_for_no_value_is_missing(tmp_path: Path, cell: str):
    (tmp_path / "a.csv").write_text(f"a,b\n{cell},x\n1.5,y\n")
    assert read(tmp_path / "a.csv")["a"].tolist() == pytest.approx([np.nan, 1.5], nan_ok=True)


def test_thousands_and_decimal_sign_must_differ(tmp_path: Path):
    with pytest.raises(SystemExit, match=r"data.read.thousands: must differ from data.read.decimal"):
        read(tmp_path / "a.csv", thousands=".")


@pytest.mark.parametrize("suffix", ["csv", "jsonl"])
def test_a_cell_may_be_megabytes_long(tmp_path: Path, suffix: str):
    frame = pd.DataFrame({"a": ["x" * 3_000_000, "y"], "b": [1, 2]})
    file = tmp_path / f"a.{suffix}"
    frame.to_csv(file, index=False) if suffix == "csv" else frame.to_json(file, orient="records", lines=True)
    pd.testing.assert_frame_equal(read(file), frame)


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ('{"a": 1, "a": 2}', "line 3 has the key a twice"),
        ('{"a": 1', "line 3 is not valid JSON"),
        ("[1]", "line 3 is not a JSON object"),
        ("[" * 100_000, "line 3 is nested too deep"),
    ],
)
def test_a_line_that_is_no_object_is_named(tmp_path: Path, line: str, told: str):
    (tmp_path / "a.jsonl").write_text(f'{{"a": 1}}\n{{"a": 2}}\n{line}\n')
    with pytest.raises(SystemExit, match=told):
        read(tmp_path / "a.jsonl")


def test_a_table_of_very_many_columns_is_read(tmp_path: Path):
    names = [f"column {n}" for n in range(40_000)]
    (tmp_path / "a.csv").write_text("\n".join([",".join(names), ",".join("1" * 40_000), ",".join("2" * 40_000)]))
    assert read(tmp_path / "a.csv").shape == (2, 40_000)


def test_dates_far_from_today_become_features():
    raw = pd.DataFrame({"when": pd.to_datetime(["9999-12-31", "2023-01-04", "1500-01-01"]), "y": [1, 0, 1]})
    prepared = table.prepare({"table": raw.astype({"when": "datetime64[us]"})}, data(id_columns=["when"]))
    assert prepared["when (day)"].tolist() == [2932896, 19361, -171664]
