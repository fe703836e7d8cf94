"""The schema is strict, breaches are reported without values, and a frozen schema reveals nothing private."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pandera.pandas as pa
import pytest

from retrace import schema
from retrace.pieces import columns_in_pieces, count_values
from retrace.schema import breaches, infer, needs_all_rows, read_schema, write_schema

RNG = np.random.default_rng(0)
TABLE = pd.DataFrame(
    {
        "size": RNG.normal(50, 10, 500).round(2),
        "rooms": RNG.integers(1, 6, 500),
        "city": RNG.choice(["Bern", "Basel"], 500),
        "street": [f"street {n}" for n in range(500)],
        "sold": RNG.random(500) > 0.5,
        "when": pd.date_range("2020-01-01", periods=500).astype("datetime64[us]"),
        "tax": np.where(RNG.random(500) < 0.1, np.nan, 3.14159),
    }
)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    write_schema({"houses": infer(columns_in_pieces(TABLE), private=["rooms"])}, tmp_path / "schema.yaml")
    return tmp_path / "schema.yaml"


def test_the_table_meets_the_schema_that_was_frozen_from_it(file: Path):
    schema = read_schema(file)["houses"]
    assert breaches([TABLE], schema) == []
    assert list(schema.columns) == list(TABLE.columns)


def test_the_column_that_names_the_rows_may_get_any_new_value():
    table = pd.DataFrame({"visit": range(100), "cost": np.arange(100.0)})
    schema = infer(columns_in_pieces(table), private=[], key="visit")
    assert breaches([table.assign(visit=table["visit"] + 10_000)], schema) == []
    assert breaches([table.assign(cost=table["cost"] + 10_000)], schema) != []


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"size": TABLE["size"].replace(TABLE["size"][3], 1e6)}, "column size: 1 value outside (0.0, 100.0)"),
        ({"city": TABLE["city"].replace("Bern", "Bonn")}, "values not among those listed"),
        ({"rooms": TABLE["rooms"].astype("str")}, "column rooms: is of type str, not int64"),
        ({"size": TABLE["size"].where(TABLE.index > 0)}, "column size: 1 value missing, where none may be"),
        ({"tax": TABLE["tax"].where(TABLE.index > 400)}, "column tax: more missing than the share="),
        ({"new": 1}, "column new: not in the schema"),
    ],
)
def test_a_breach_is_a_line_that_names_the_column_and_shows_no_value(file: Path, change: dict[str, object], line: str):
    found = breaches([TABLE.assign(**change)], read_schema(file)["houses"])
    assert len(found) == 1
    assert line in found[0]
    assert not any(value in found[0] for value in ("1000000", "Bonn"))


@pytest.mark.parametrize("column", ["size", "rooms", "sold", "when", "tax"])
def test_text_in_a_column_of_another_type_is_a_breach_that_names_types_only(file: Path, column: str):
    text = TABLE[column].astype("object").where(TABLE.index != 7, "John Doe, 555-1234")
    for values in (text, text.astype("str")):
        found = breaches([TABLE.assign(**{column: values})], read_schema(file)["houses"])
        expected = f"column {column}: is of type {values.dtype}, not {TABLE[column].dtype}".partition("[")[0]
        assert [line.partition("[")[0] for line in found] == [expected]


@pytest.mark.parametrize("check", ["greater_than: 3", "str_matches: '[a-z]'", "notin: {forbidden_values: [1]}"])
def test_a_check_that_fails_on_other_types_shows_no_value(tmp_path: Path, check: str):
    file = tmp_path / "schema.yaml"
    file.write_text(f"t:\n  columns:\n    a:\n      checks: {{{check}}}\n")
    found = breaches([pd.DataFrame({"a": ["John Doe", 1, None]})], read_schema(file)["t"])
    assert found
    assert not any("John" in line for line in found)


def test_a_missing_column_is_a_breach(file: Path):
    assert breaches([TABLE.drop(columns="size")], read_schema(file)["houses"]) == ["column size: missing"]


def test_each_breach_has_a_line_and_a_retyped_column_only_one(file: Path):
    broken = TABLE.drop(columns=["size", "sold"]).assign(a=1, b=1, rooms=TABLE["rooms"].astype("str"))
    assert sorted(breaches([broken], read_schema(file)["houses"])) == [
        "column a: not in the schema",
        "column b: not in the schema",
        "column rooms: is of type str, not int64",
        "column size: missing",
        "column sold: missing",
    ]


@pytest.mark.parametrize("values", [[0.0, 0.0], [1e-13, 3e-13], [-5e12, 7e12], [np.inf, 2.0], [np.inf, np.nan], [3, 3]])
def test_any_range_can_be_frozen_and_is_met_by_its_finite_values(tmp_path: Path, values: list[float]):
    table = pd.DataFrame({"x": values})
    write_schema({"t": infer(columns_in_pieces(table), [])}, tmp_path / "schema.yaml")
    finite = table.replace(np.inf, table["x"].replace(np.inf, np.nan).min())
    assert breaches([finite], read_schema(tmp_path / "schema.yaml")["t"]) == []


@pytest.mark.parametrize("word", ["1e5", "yes", "null", "1_000", "0x1f", "1:30", "2020-01-01", "#", "~", "- a", "{{"])
def test_text_that_yaml_would_read_otherwise_stays_text(tmp_path: Path, word: str):
    table = pd.DataFrame({word: [word, "other"] * 20})
    write_schema({"odd": infer(columns_in_pieces(table), private=[])}, tmp_path / "schema.yaml")
    assert breaches([table], read_schema(tmp_path / "schema.yaml")["odd"]) == []


def test_nothing_is_coerced(file: Path):
    text = TABLE.assign(size=TABLE["size"].astype("str"))
    assert any("is of type" in breach for breach in breaches([text], read_schema(file)["houses"]))


def test_the_frozen_schema_shows_no_rare_and_no_private_value(file: Path):
    text = file.read_text()
    assert "street 1" not in text
    assert str(TABLE["size"].min()) not in text
    assert str(TABLE["size"].max()) not in text
    assert set(read_schema(file)["houses"].columns["rooms"].checks) == set()


def test_a_schema_that_pandera_cannot_read_is_one_line(tmp_path: Path):
    file = tmp_path / "schema.yaml"
    for content in ("houses: 3", "houses:\n  columns:\n    a: {dtype: nonsense}", "- a"):
        file.write_text(content)
        with pytest.raises(SystemExit, match="not a schema that pandera reads"):
            read_schema(file)


@pytest.mark.parametrize("size", [pytest.param(1, marks=pytest.mark.slow), 7, 500])
def test_a_table_in_chunks_breaches_what_the_whole_table_does(file: Path, size: int):
    broken = TABLE.assign(
        size=TABLE["size"].where(TABLE.index > 2, 1e6), tax=TABLE["tax"].where(TABLE.index > 400), new=1
    )
    schema = read_schema(file)["houses"]
    chunks = [broken.iloc[start : start + size] for start in range(0, len(broken), size)]
    assert breaches(chunks, schema) == breaches([broken], schema)
    assert len(breaches(chunks, schema)) == 3


def test_a_check_that_is_about_more_than_single_values_needs_all_rows(file: Path):
    schema = read_schema(file)["houses"]
    assert not needs_all_rows(schema)
    column = schema.columns["size"]
    for other in (
        schema.update_column("size", unique=True),
        schema.update_column("size", checks=[pa.Check(lambda values: values.mean() > 0)]),
        pa.DataFrameSchema({"^s.*": pa.Column(column.dtype, regex=True)}),
        pa.DataFrameSchema(schema.columns, unique=["size"]),
    ):
        assert needs_all_rows(other)


def test_texts_of_which_there_are_many_after_the_first_rows_are_not_all_counted():
    pieces = [pd.Series(["same"] * schema.ROWS_COUNTED_FIRST), pd.Series([f"text {n}" for n in range(200)])]
    unread = pd.Series(["same"] * 5)
    read: list[int] = []

    def count(values: list[pd.Series], *most: float) -> pd.Series:
        return count_values(each_read(values), *most)

    def each_read(values: list[pd.Series]) -> Iterator[pd.Series]:
        for piece in values:
            read.append(len(piece))
            yield piece

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(schema, "count_values", count)
        (column,) = infer([("word", [*pieces, unread])], private=[]).columns.values()
    assert not column.checks
    assert read == [schema.ROWS_COUNTED_FIRST, 200]
