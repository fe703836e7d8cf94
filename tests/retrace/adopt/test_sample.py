"""Warnings and choices for a large table come from a sample of its rows; what must hold for all rows is checked on all.

In these tests a table of 600 rows is large, and what the sample doesn't show is in rows outside of it.
"""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from retrace import schema, table_files
from retrace.adopt import sample, stored
from retrace.adopt.command import parse
from retrace.adopt.plan import Plan, plan
from retrace.adopt.project import first_schema
from retrace.adopt.sample import Sampled, sample_places
from retrace.adopt.splitting import choose_split
from retrace.adopt.summary import summary_of
from retrace.params import Data, SplitByTime
from tests.conftest import ROLES

ROWS, MOST, ENDS = 600, 200, 20


@pytest.fixture(autouse=True)
def small_sample(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A sample of about a third of the rows, and chunks of 100 rows."""
    monkeypatch.setattr(sample, "MOST_ROWS", MOST)
    monkeypatch.setattr(sample, "FEWEST_ROWS", 0)
    monkeypatch.setattr(sample, "ENDS", ENDS)
    monkeypatch.setattr(table_files, "CELLS_IN_CHUNK", 100 * len(visits().columns))


def visits() -> pd.DataFrame:
    """A table without pitfalls, whose rows differ."""
    random = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "visit": [f"visit {number:04}" for number in range(ROWS)],
            "day": pd.date_range("2024-01-01", periods=ROWS, freq="h"),
            "city": random.choice(["Bern", "Chur"], ROWS),
            "patient": [f"patient {number}" for number in random.integers(0, 60, ROWS)],
            "age": random.integers(20, 80, ROWS),
            "cost": random.random(ROWS),
            "late": random.choice(["no", "yes"], ROWS, p=[0.7, 0.3]),
        }
    )


def outside(count: int, start: int = 0) -> np.ndarray[Any, np.dtype[np.intp]]:
    """The places of the first rows from `start` on that aren't in the sample."""
    places = np.setdiff1d(np.arange(start, ROWS), sample_places(ROWS, MOST))
    return places[:count]


def adopted(table: pd.DataFrame, *words: str, csv: bool = False, target: str = "late") -> tuple[Plan, list[str]]:
    """What is to be done with a table, and what adopt prints."""
    file = Path("visits.csv" if csv else "visits.parquet")
    if csv:  # a file is a chunk
        file = Path("visits")
        file.mkdir()
        for number, start in enumerate(range(0, ROWS, 100)):
            table[start : start + 100].to_csv(file / f"{number}.csv", index=False)
    else:
        table.to_parquet(file, index=False)
    with stored.temporary_files():
        new = plan(parse([str(file), "--target", target, *words]))
        return new, list(summary_of(new, file))


def refusal(table: pd.DataFrame, *words: str, target: str = "late") -> str:
    """The line with which a table is refused."""
    with pytest.raises(SystemExit) as error:
        adopted(table, *words, target=target)
    return str(error.value)


def test_the_sample_is_evenly_spread_and_has_both_ends():
    places = sample_places(ROWS, MOST)
    assert (np.diff(places) > 0).all()
    assert set(range(ENDS)) | set(range(ROWS - ENDS, ROWS)) <= set(places)
    assert MOST <= len(places) <= MOST + 2 * ENDS
    assert all(np.isin(range(start, start + 3), places).any() for start in range(0, ROWS, 3))
    between = places[(places >= ENDS) & (places < ROWS - ENDS)]
    assert len(set(between % 3)) == 3, "it doesn't miss what comes back every three rows"
    assert sample_places(MOST, MOST).tolist() == list(range(MOST))


def test_the_share_of_the_commonest_class_is_that_of_all_rows():
    table = visits()
    table["late"] = "no"
    table.loc[outside(20), "late"] = "yes"
    table.loc[np.setdiff1d(np.arange(ROWS), outside(ROWS))[::40], "late"] = "yes"  # in the sample, too
    share = (table["late"] == "no").mean()
    assert any(f"late: {share:.1%} of the rows have the same value" in line for line in adopted(table)[1])


def test_counts_and_rows_in_warnings_are_those_of_the_sample_and_the_table():
    table, places = visits(), sample_places(ROWS, MOST)
    table.loc[ENDS + 10 :: 7, "age"] = -999
    table["wait"] = [f"{number % 50 + 10}" for number in range(ROWS)]
    table.loc[ENDS + 11 :: 9, "wait"] = "unknown"
    _, lines = adopted(table)
    looked_at = table.loc[places]
    assert f"sample: most choices and warnings are from {len(places)} rows, evenly spread over the table" in lines
    found = re.search(r"age: -999 in (\d+) rows of the sample, first in row (\d+)", "\n".join(lines))
    assert found is not None
    codes = looked_at.index[looked_at["age"] == -999]
    assert (int(found[1]), int(found[2])) == (len(codes), codes[0] + 1)
    found = re.search(
        r"wait: numbers but for (\d+) rows of the sample, such as 'unknown' in row (\d+)", "\n".join(lines)
    )
    assert found is not None
    texts = looked_at.index[looked_at["wait"] == "unknown"]
    assert (int(found[1]), int(found[2])) == (len(texts), texts[0] + 1)


def test_a_table_that_is_not_larger_than_the_sample_is_looked_at_whole(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sample, "MOST_ROWS", ROWS)
    table = visits()
    table.loc[::7, "age"] = -999
    new, lines = adopted(table)
    assert new.raw.is_whole
    assert "sample" not in "\n".join(lines)
    assert "age: -999 in 86 rows, first in row 1, " in "\n".join(lines)


def test_a_class_that_the_sample_lacks_is_a_class():
    table = visits()
    table.loc[outside(10), "late"] = "very"
    new, lines = adopted(table)
    assert "classification: the target has 3 values that aren't numbers" in lines
    assert new.params["gate"]["metric"] == "log_loss"


def test_a_rare_class_that_the_sample_lacks_is_refused():
    table = visits()
    table.loc[outside(4), "late"] = "very"
    assert "a class has 4 rows, and 5 are the least" in refusal(table)


def test_a_class_that_only_valid_has_is_refused():
    table = visits()
    in_valid = outside(10, start=ROWS * 6 // 10 + 24)
    table.loc[in_valid, "late"] = "very"
    assert "a class of valid has no rows in train" in refusal(table, "--time", "day")


def test_a_target_of_which_the_sample_shows_one_class_can_be_split():
    table = visits().assign(late="no")
    table.loc[outside(20), "late"] = "yes"
    table.loc[outside(20, start=ROWS * 6 // 10 + 24), "late"] = "yes"
    new, lines = adopted(table, "--time", "day")
    assert set(new.raw.rows["late"]) == {"no"}
    assert any(line.startswith("positive class: yes") for line in lines)
    table.loc[:, "late"] = "no"
    table.loc[outside(20), "late"] = "yes"
    assert "the part valid has only one value of late" in refusal(table, "--time", "day")


def test_a_target_with_few_numbers_in_the_sample_and_more_in_all_rows_is_a_number():
    table = visits().assign(late=np.arange(ROWS) % 10)
    table.loc[outside(10), "late"] = range(10, 20)
    assert "regression: the target has 20 different numbers" in adopted(table)[1]


def test_a_target_with_very_many_numbers_is_not_counted():
    assert f"regression: the target has more than {MOST} different numbers" in adopted(visits(), target="cost")[1]
    assert f"more than {MOST} values in 600 rows: free text or an id" in refusal(visits(), target="visit")


def test_an_infinite_target_is_refused():
    table = visits()
    table.loc[outside(1, start=400), "cost"] = np.inf
    assert "column cost: some values are infinite" in refusal(table, target="cost")


def test_a_column_names_rows_only_if_it_does_in_all_of_them():
    assert "visit: another value in each row" in "\n".join(adopted(visits())[1])
    table = visits()
    table.loc[outside(1, start=400), "visit"] = table.loc[outside(1), "visit"].item()
    assert "another value in each row" not in "\n".join(adopted(table)[1])
    assert "column visit: 1 ids are repeated" in refusal(table, "--id", "visit")


def test_a_copy_of_a_row_is_found():
    assert "copies" not in "\n".join(adopted(visits())[1])
    table = visits()
    table.loc[outside(1, start=400)[0], "day":] = table.loc[outside(1)[0], "day":]
    assert "warning: 1 row are copies of others in all columns but visit" in "\n".join(adopted(table)[1])


def test_a_column_is_constant_or_empty_only_if_it_is_in_all_rows():
    table = visits().assign(same="x", empty=None, mark="x", rare=np.nan)
    table.loc[outside(1, start=400), ["mark", "rare"]] = ["y", 5.0]
    lines = adopted(table)[1]
    assert "warning: same: has the same value in each row: --drop same" in lines
    assert "warning: empty: has no value: --drop empty" in lines
    assert not [line for line in lines if line.startswith(("warning: mark", "warning: rare"))]
    kinds = {line.split()[0]: line.split()[1] for line in lines if line.startswith("  ")}
    assert (kinds["empty"], kinds["rare"]) == ("empty", "number")
    assert "--group same: the whole table is one group" in refusal(table, "--group", "same")
    assert "--group" not in refusal(table, "--group", "mark")


def test_the_counter_of_rows_is_left_out_only_if_it_counts_all():
    table = visits()
    table.insert(0, "Unnamed: 0", range(ROWS))
    assert adopted(table)[0].data.drop == ["Unnamed: 0"]
    table.loc[outside(1, start=400), "Unnamed: 0"] = 0
    assert adopted(table)[0].data.drop == []


def test_the_first_schema_holds_for_all_rows():
    table = visits()
    table.loc[outside(10), "age"] = 5000
    table.loc[outside(10), "city"] = "Genf"
    table.to_parquet("visits.parquet", index=False)
    with stored.temporary_files():
        new = plan(parse(["visits.parquet", "--target", "late"]))
        first = first_schema(new.raw, [], None)
    assert first is not None
    assert not schema.breaches([table.astype({"day": "datetime64[us]"})], first)


def test_a_number_that_is_a_name_in_any_row_makes_its_column_text():
    table = visits().assign(code=[str(number) for number in range(1000, 1000 + ROWS)])
    assert adopted(table, csv=True)[0].raw.rows["code"].dtype == "int64"
    table.loc[outside(1), "code"] = "00042"
    Path("visits").rename("before")
    new = adopted(table, csv=True)[0]
    assert new.data.read["types"] == {"code": "text"}
    assert set(new.raw.rows["code"]) <= set(table["code"])


def test_a_type_that_some_row_does_not_have_is_refused():
    table = visits().assign(day=visits()["day"].dt.strftime("%d.%m.%Y %H:%M"))
    table.loc[outside(1), "day"] = "soon"
    assert f"column day, row {outside(1)[0] + 1} of the data: not a date as %d.%m.%Y %H:%M" in refusal(table)


def test_a_repeated_header_is_refused_with_its_row():
    table = visits().astype(object)
    table.loc[450] = table.columns
    with pytest.raises(SystemExit, match="row 451 of the data repeats the header"):
        adopted(table, csv=True)


def test_totals_in_a_sample_are_named_and_larger_than_the_others():
    table = visits()
    sampled = sample_places(ROWS, MOST)
    table.loc[sampled[len(sampled) // 2], "city"] = "Total"
    assert "total" not in "\n".join(adopted(table)[1]), "a city may have this name"
    table = visits()
    table.loc[ROWS - 1, ["city", "age", "cost"]] = ["Total", table["age"].sum(), table["cost"].sum()]
    table["gives away"] = [f"{late}!" for late in table["late"]]
    table.loc[ENDS, "gives away"] = "?"
    lines = "\n".join(adopted(table)[1])
    assert "row 600 looks like a total of other rows" in lines
    assert "gives away: explains" in lines


def test_a_total_in_a_sample_makes_no_other_column_suspicious():
    table = visits().drop(columns="visit")
    table.loc[ROWS - 1, ["day", "city", "age", "cost"]] = [table["day"][0], "Total", 1e6, 1e6]
    table.loc[100:120, "cost"] = None  # so that rows have other places in the prepared table
    lines = adopted(table, "--time", "day", target="cost")[1]
    assert any("row 600 looks like a total" in line for line in lines)
    assert not any("explains" in line for line in lines)


def test_a_split_that_would_leave_train_too_few_rows_is_not_kept():
    table = visits().assign(patient=np.arange(ROWS), late=np.arange(ROWS) % 2 == 0)
    in_train = sample_places(ROWS, MOST)
    in_train = in_train[in_train < 300]
    later = outside(len(in_train), start=300)
    table.loc[later, "patient"] = table.loc[in_train[: len(later)], "patient"].to_numpy()
    roles = {"source": "x.csv", "read": {}, "target": "late", "task": "classification", "id": "visit"}
    data = Data.model_validate(ROLES | roles | {"time": "day", "group": "patient"})
    kept = SplitByTime(by="time", valid_from=table["day"][300], test_from=table["day"][450], block=None, purge=True)
    train = table[:300]
    assert (~train["patient"].isin(table["patient"][300:])).sum() >= 10
    assert choose_split(Sampled.of(table, MOST), data, kept, [False, True])[0] == kept
    table.loc[300:599, "patient"] = np.arange(300)
    assert choose_split(Sampled.of(table, MOST), data, kept, [False, True])[0] != kept
