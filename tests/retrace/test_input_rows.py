"""Rows in JSON: what is accepted is what the model gets, and what is wrong is told without a value."""

import json
import math
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrace.input_rows import InvalidRowsError, RowReader, as_table, first_failing_row, shortened, unseen_categories

COLUMNS = {"size": "number", "new": "boolean", "kind": "text"}
READER = RowReader(COLUMNS)

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)
ROW = st.fixed_dictionaries(
    {
        "size": st.none() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False),
        "new": st.none() | st.booleans(),
        "kind": st.none() | st.text(st.characters(codec="utf-8")),
    }
)


@given(st.lists(ROW, min_size=1, max_size=5))
def test_valid_rows_arrive_as_they_were_sent(rows: list[dict[str, Any]]):
    table = as_table(READER.read(json.dumps({"rows": rows}).encode()), COLUMNS)
    assert [str(table[name].dtype) for name in COLUMNS] == ["float64", "float64", "str"]
    for number, row in enumerate(rows):
        for name in COLUMNS:
            found, sent = table[name].iloc[number], row[name]
            assert pd.isna(found) if sent is None else found == sent


@given(ANYTHING)
def test_whatever_is_sent_is_accepted_or_told(content: Any):
    lines = []
    try:
        READER.read(json.dumps({"rows": content}).encode())
    except InvalidRowsError as error:
        lines = error.messages
    assert all("\n" not in line for line in lines)


def test_the_name_of_an_unknown_column_is_one_line():
    with pytest.raises(InvalidRowsError) as error:
        READER.read(b'{"rows": [{"size": 1, "new": true, "kind": "a", "other\\nline": 1}]}')
    assert error.value.messages == [r"row 1: column other\nline: unknown"]


@pytest.mark.parametrize("value", ["Sec-ret", ["Sec-ret"]])
def test_a_wrong_value_is_never_quoted(value: Any):
    rows = [{"size": value, "new": value, "kind": [value]}, value]
    with pytest.raises(InvalidRowsError) as error:
        READER.read(json.dumps({"rows": rows}).encode())
    assert len(error.value.messages) == 4
    assert "Sec-ret" not in str(error.value.messages)


@pytest.mark.parametrize("text", ["Infinity", "-Infinity", "NaN", "1e999"])
def test_a_number_must_be_finite(text: str):
    with pytest.raises(InvalidRowsError, match="row 1: column size: must be a finite number or null"):
        READER.read(b'{"rows": [{"size": %s, "new": true, "kind": null}]}' % text.encode())


def test_what_is_no_list_of_rows_is_told():
    for body, told in {
        b"{": "rows: invalid json: ",
        b"{}": "rows: field required",
        b'{"rows": {}}': "rows: input should be a valid array",
        b'{"rows": [3]}': "row 1: must be an object with a value for each column",
    }.items():
        with pytest.raises(InvalidRowsError) as error:
            READER.read(body)
        assert error.value.messages[0].startswith(told)


def test_categories_that_train_has_not_are_told_and_missing_ones_are_not():
    table = pd.DataFrame({"kind": pd.array(["a", None, "z"], dtype="str"), "size": [1.0, math.nan, 2.0]})
    assert unseen_categories(table, {"kind": frozenset(["a", "b"])}) == [
        "row 3: column kind: fewer than 10 rows of train have this category"
    ]


@pytest.mark.parametrize("row", [1, 2, 7, 50])
def test_the_first_row_that_cannot_be_converted_is_found(row: int):
    values = ["1"] * 50
    values[row - 1 :: 3] = ["one"] * len(values[row - 1 :: 3])
    assert first_failing_row(pd.Series(values), lambda column: column.astype(float)) == row


def test_long_lists_are_shortened():
    assert shortened([str(number) for number in range(25)], "errors") == [
        *(str(number) for number in range(20)),
        "and more errors",
    ]
