"""The statistics of a column follow from counts in the bins of metrics/data.json, and are those of the rows."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrace.files import write_json
from retrace.monitoring.column_statistics import (
    MOST_VALUES,
    bin_of_rows,
    count_rows,
    days_of,
    median,
    number_of_bins,
    reference_counts,
    series_of_days,
    series_of_rows,
    statistics,
    within_range,
)
from retrace.monitoring.exchangeability import Shift
from src.stages.describe import describe

NUMBERS = pd.Series(np.append(np.random.default_rng(1).normal(size=990), [np.nan] * 10))
COLORS = pd.Series(["red"] * 500 + ["blue"] * 300 + ["green"] * 150 + ["rare"] * 5 + ["rarer"] * 5 + [None] * 40)


@pytest.mark.parametrize("values", [NUMBERS, COLORS, COLORS == "red"], ids=["number", "category", "boolean"])
def test_the_rows_of_the_reference_are_in_the_bins_that_describe_counted(values: pd.Series):
    column = describe([values], private=False)
    counts = count_rows(bin_of_rows(values, column), np.zeros(len(values), int), (1, number_of_bins(column)))
    assert counts.tolist() == reference_counts(column, len(values)).tolist()


def test_the_bins_of_numbers_far_from_0_are_those_that_describe_counted(tmp_path: Path):
    """In metrics/data.json, numbers have six digits, so the edges of the bins are rounded."""
    values = NUMBERS.dropna() / 100 + 100
    write_json(describe([values], private=False), tmp_path / "column.json")
    column = json.loads((tmp_path / "column.json").read_text())
    assert column["histogram"]["first"] % column["histogram"]["step"] != 0
    counts = count_rows(bin_of_rows(values, column), np.zeros(len(values), int), (1, number_of_bins(column)))
    assert counts.tolist() == reference_counts(column, len(values)).tolist()


def test_a_private_column_is_watched_for_missing_values_alone():
    column = describe([NUMBERS], private=True)
    assert list(statistics(column)) == ["missing"]
    assert bin_of_rows(NUMBERS, column).tolist() == [0] * 990 + [1] * 10
    assert reference_counts(column, 1_000).tolist() == [[990, 10]]


def test_numbers_beyond_the_histogram_are_in_its_end_bins():
    column = describe([NUMBERS], private=False)
    last = len(column["histogram"]["counts"]) - 1
    values = pd.Series([-1e9, -np.inf, 1e9, np.inf, np.nan])
    assert bin_of_rows(values, column).tolist() == [0, 0, last, last, last + 1]


def test_text_in_place_of_a_number_is_missing():
    column = describe([NUMBERS], private=False)
    assert bin_of_rows(pd.Series(["many"]), column).tolist() == [number_of_bins(column) - 1]


def test_new_values_of_a_category_are_other_values():
    column = describe([COLORS], private=False)
    found = bin_of_rows(pd.Series(["purple", "rare", "red", None]), column)
    other, missing = number_of_bins(column) - 2, number_of_bins(column) - 1
    assert found.tolist() == [other, other, list(column["values"]).index("red"), missing]


def test_the_most_common_values_are_watched_each_by_itself():
    values = pd.Series(np.repeat([f"{number:02}" for number in range(30)], range(10, 40)))
    names = list(statistics(describe([values], private=False)))
    assert names == [f"value {number}" for number in range(29, 29 - MOST_VALUES, -1)] + ["other values", "missing"]


def test_the_statistics_of_the_reference_are_what_they_are_called():
    column = describe([NUMBERS], private=False)
    counts = count_rows(bin_of_rows(NUMBERS, column), np.zeros(1_000, int), (1, number_of_bins(column)))
    found = {name: days.means[0] for name, days in series_of_days(counts, column).items()}
    assert found["location"] == pytest.approx(0.5)
    assert found["spread"] == pytest.approx(0.25, abs=0.01)
    assert found["missing"] == 0.01
    column = describe([COLORS], private=False)
    counts = count_rows(bin_of_rows(COLORS, column), np.zeros(1_000, int), (1, number_of_bins(column)))
    found = {name: days.means[0] for name, days in series_of_days(counts, column).items()}
    expected = {"value red": 0.5, "value blue": 0.3, "value green": 0.15, "other values": 0.01, "missing": 0.04}
    assert found == pytest.approx(expected)


def test_higher_numbers_have_a_higher_location_and_spread_numbers_a_higher_spread():
    column = describe([NUMBERS], private=False)
    values = pd.concat([NUMBERS, NUMBERS + 1, NUMBERS * 2], ignore_index=True)
    days = np.repeat([0, 1, 2], 1_000)
    counts = count_rows(bin_of_rows(values, column), days, (3, number_of_bins(column)))
    found = series_of_days(counts, column)
    assert found["location"].means[1] > 0.7
    assert found["location"].means[2] == pytest.approx(0.5, abs=0.02)
    assert found["spread"].means[2] > found["spread"].means[0] + 0.05


def test_location_is_about_the_mean_rank():
    """pandas' rank of a value among those of the reference, as the bins know it."""
    column = describe([NUMBERS], private=False)
    later = NUMBERS.head(500) + 0.5
    ranks = [(NUMBERS.dropna() < value).mean() for value in later]
    counts = count_rows(bin_of_rows(later, column), np.zeros(500, int), (1, number_of_bins(column)))
    assert series_of_days(counts, column)["location"].means[0] == pytest.approx(np.mean(ranks), abs=0.02)


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 2)), max_size=50))
def test_counts_are_those_of_a_cross_table(rows: list[tuple[int, int]]):
    bins, days = np.array([row[0] for row in rows], int), np.array([row[1] for row in rows], int)
    counts = count_rows(bins, days, (3, 5))
    assert counts.sum() == len(rows)
    assert all(counts[day, bin_] == rows.count((bin_, day)) for day in range(3) for bin_ in range(5))


def test_the_means_of_counts_are_those_of_the_rows():
    rng = np.random.default_rng(2)
    scores, bins, days = np.array([0.0, 1.0, 5.0, np.nan]), rng.integers(0, 4, 500), rng.integers(0, 7, 500)
    by_bin = days_of(count_rows(bins, days, (8, 4)), scores)
    used = bins < 3
    by_row = pd.Series(scores[bins[used]]).groupby(days[used])
    assert by_bin.rows.tolist() == [*by_row.size(), 0]
    assert by_bin.means[:7] == pytest.approx(by_row.mean().to_numpy())
    assert by_bin.row_variance == pytest.approx((by_row.var(ddof=0) * by_row.size()).sum() / used.sum())
    assert np.isnan(by_bin.means[7])


def test_rows_in_bins_that_are_too_small_to_be_shown_are_in_some_bin_of_the_reference():
    """Of numbers at both ends of a range, the bins in the middle have 5 rows each."""
    ends = np.random.default_rng(3).uniform(0, 1, 400)
    values = pd.Series(np.concatenate([ends, ends + 15, np.linspace(1, 15, 65)]))
    column = describe([values], private=False)
    assert column["histogram"]["other_rows"] >= 50
    counts = reference_counts(column, len(values))
    assert counts.sum() == len(values)
    assert (counts[0, :-1] > 0).all()


def test_rows_as_units_have_the_same_statistics():
    column = describe([COLORS], private=False)
    counts = reference_counts(column, len(COLORS))
    by_row, by_day = series_of_rows(counts, column), series_of_days(counts, column)
    assert {name: rows.mean() for name, rows in by_row.items()} == {name: days.mean() for name, days in by_day.items()}


def test_the_median_is_in_the_unit_of_the_column():
    column = describe([NUMBERS], private=False)
    for values in (NUMBERS, NUMBERS + 1):
        counts = count_rows(bin_of_rows(values, column), np.zeros(1_000, int), (1, number_of_bins(column)))
        assert median(column, counts[0].tolist()) == pytest.approx(values.median(), abs=column["histogram"]["step"] / 2)
    assert median(column, [0] * (number_of_bins(column) - 1) + [5]) is None


def test_bounds_are_not_outside_of_what_a_statistic_can_be():
    share, location = np.array([0.0, 1.0, np.nan]), np.array([0.2, 0.7, np.nan])
    shift = Shift(before=0.3, now=0.6, low=-0.1, high=1.1)
    assert within_range(shift, share) == Shift(0.3, 0.6, 0.0, 1.0)
    assert within_range(shift, location) == Shift(0.3, 0.6, 0.2, 0.7)
