"""Draws follow from the rows alone, and whole groups are drawn together."""

import numpy as np
import pandas as pd
import pytest

from src.core.params import Data
from src.core.resamples import bootstrap, fingerprint, fingerprints, half
from tests.conftest import ROLES

DATA = Data(**ROLES | {"source": "x", "read": {}, "target": "y", "task": "classification", "id": "id"})
GROUPED = DATA.model_copy(update={"group": "day"})


@pytest.fixture
def table() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {"id": range(300), "day": np.arange(300) // 10, "x": rng.random(300), "y": rng.random(300) > 0.5}
    )


def by_id(table: pd.DataFrame, draws: np.ndarray) -> list[int]:
    return pd.Series(draws, index=table["id"]).sort_index().tolist()


@pytest.mark.parametrize("data", [DATA, GROUPED])
def test_draws_do_not_depend_on_the_order_or_the_other_columns(table: pd.DataFrame, data: Data):
    other = table.sample(frac=1, random_state=1).assign(x=0)
    for ours, theirs in zip(bootstrap(table, data, 5), bootstrap(other, data, 9), strict=False):
        assert by_id(table, ours) == by_id(other, theirs)
    assert by_id(table, half(table, data, 2)) == by_id(other, half(other, data, 2))
    assert fingerprint(table, data) == fingerprint(other, data)


def test_rows_of_a_group_are_drawn_together(table: pd.DataFrame):
    for drawn in (*bootstrap(table, GROUPED, 5), half(table, GROUPED, 0)):
        spread = pd.Series(drawn.astype(int)).groupby(table["day"]).agg(["min", "max"])
        assert (spread["min"] == spread["max"]).all()


def test_a_resample_has_as_many_groups_and_a_half_has_half_of_them(table: pd.DataFrame):
    draws = list(bootstrap(table, DATA, 20))
    assert {int(weights.sum()) for weights in draws} == {300}
    assert len({tuple(weights) for weights in draws}) == 20
    assert half(table, DATA, 0).sum() == 150
    assert (half(table, DATA, 0) != half(table, DATA, 1)).any()


@pytest.mark.parametrize("change", [{"id": range(1, 301)}, {"day": 0}])
def test_the_fingerprint_changes_with_what_the_draws_depend_on(table: pd.DataFrame, change: dict[str, object]):
    assert fingerprint(table.assign(**change), GROUPED) != fingerprint(table, GROUPED)


def test_the_fingerprints_of_ids_and_of_targets_are_kept_apart(table: pd.DataFrame):
    before, other = fingerprints(table, GROUPED), fingerprints(table.assign(y=~table["y"]), GROUPED)
    assert (other["ids"] == before["ids"], other["targets"] == before["targets"]) == (True, False)
    assert fingerprint(table.assign(y=~table["y"]), GROUPED) == fingerprint(table, GROUPED)
    moved = fingerprints(table.assign(id=table["id"] + 1), GROUPED)
    assert (moved["ids"] == before["ids"], moved["targets"] == before["targets"]) == (False, False)
    assert fingerprints(table.assign(day=0), GROUPED) == before


def test_fingerprints_do_not_depend_on_the_order_or_the_types_of_the_columns(table: pd.DataFrame):
    table = table.assign(y=np.arange(300) // 100)
    for other in (table.sample(frac=1, random_state=1), table.astype({"id": "str", "day": "float64", "y": "float64"})):
        assert fingerprint(other, GROUPED) == fingerprint(table, GROUPED)
        assert fingerprints(other, GROUPED) == fingerprints(table, GROUPED)
