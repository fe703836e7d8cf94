"""What changed between two revisions: rows, columns, distributions, packages."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.review import changes
from src.review.results import FOLDER, Revision
from src.stages.describe import describe
from tests.conftest import change_params, check, commit

RNG = np.random.default_rng(1)


def moved(base: pd.Series, here: pd.Series, private: tuple[bool, bool] = (False, False)) -> changes.Drift:
    sides = describe(base, private[0]), describe(here, private[1])
    return changes.drift("x", sides, (len(base), len(here)))


@pytest.mark.parametrize("values", [RNG.normal(size=2000), RNG.choice(list("abc"), 2000), RNG.random(2000) < 0.3])
def test_a_sample_of_the_same_population_moves_no_further_than_luck(values: np.ndarray):
    base, here = pd.Series(values[:1000]), pd.Series(values[1000:])
    found = moved(base, here)
    assert 0 < found.distance < found.by_luck
    assert moved(base, base).distance == 0


def test_luck_moves_a_column_further_in_one_of_twenty_samples():
    pairs = [(pd.Series(RNG.normal(size=300)), pd.Series(RNG.normal(size=500))) for _ in range(200)]
    flagged = sum(one.distance > one.by_luck for one in (moved(*pair) for pair in pairs))
    assert flagged <= 20


@pytest.mark.parametrize("most", [30, 100])
def test_values_that_few_rows_hold_look_like_no_move(most: int):
    """They are counted together, and which they are hangs on luck."""
    pairs = [[pd.Series(RNG.integers(0, most, 400).astype(str)) for _ in range(2)] for _ in range(100)]
    flagged = sum(one.distance > one.by_luck for one in (moved(*pair) for pair in pairs))
    assert flagged <= 12


@pytest.mark.parametrize(
    ("base", "here", "distance"),
    [
        (pd.Series(["a"] * 500 + ["b"] * 500), pd.Series(["a"] * 800 + ["b"] * 200), 0.3),
        (pd.Series(["a"] * 1000), pd.Series(["b"] * 1000), 1),
        (pd.Series([1.0] * 1000), pd.Series([1.0] * 600 + [np.nan] * 400), 0.4),
        (pd.Series([1.0] * 1000), pd.Series([9.0] * 1000), 1),
        (pd.Series(np.arange(1000.0)), pd.Series(np.arange(1000.0) + 500), 0.5),
    ],
)
def test_the_distance_is_the_share_of_rows_that_lie_elsewhere(base: pd.Series, here: pd.Series, distance: float):
    assert moved(base, here).distance == pytest.approx(distance, abs=0.05)
    assert moved(here, base).distance == pytest.approx(distance, abs=0.05)


@pytest.mark.parametrize("private", [(True, True), (False, True), (True, False)])
def test_of_a_private_column_only_what_is_missing_is_compared(private: tuple[bool, bool]):
    found = moved(pd.Series(["a"] * 100), pd.Series(["b"] * 50 + [None] * 50), private)
    assert found.distance == 0.5
    assert len(found.base) == 2


@given(
    st.lists(st.floats(-1e6, 1e6), min_size=20, max_size=60), st.lists(st.floats(-1e6, 1e6), min_size=20, max_size=60)
)
def test_distances_are_shares(base: list[float], here: list[float]):
    found = moved(pd.Series(base), pd.Series(here))
    assert -1e-9 <= found.distance <= 1 + 1e-9
    assert found.base.sum() == pytest.approx(1)
    assert found.here.sum() == pytest.approx(1)
    assert len(changes.bars(found.here, 1)) == min(len(found.here), 24)


def test_columns_are_listed_by_how_far_they_moved_beyond_luck():
    table = pd.DataFrame({"same": RNG.normal(size=500), "far": RNG.normal(size=500)})
    sides = [
        {"rows": len(side), "columns": {name: describe(side[name], False) for name in side}}
        for side in (table, table.assign(far=table["far"] + 2))
    ]
    assert [one.column for one in changes.drifts(*sides)] == ["far", "same"]
    assert changes.drifts(sides[0], {"rows": 1, "columns": {}}) == []


def test_keys_that_differ_are_dotted_and_hold_both_values():
    base = {"a": {"b": 1, "c": [1]}, "gone": None, "same": 0}
    assert changes.changed_keys({"a": {"b": 2, "c": [1, 2]}, "same": 0, "new": "x"}, base) == {
        "a.b": (1, 2),
        "a.c": ([1], [1, 2]),
        "new": (None, "x"),
    }


def test_rows_are_told_apart_by_their_ids(copy_of, weather: Path, monkeypatch: pytest.MonkeyPatch):
    project = copy_of(weather)
    table = pd.read_csv(project / "data/source/weather.csv")
    known = len(table["temp"].dropna())
    new = table.iloc[-2:].assign(time_hour="2014-01-01T00:00:00Z")
    table = pd.concat([table.iloc[10:-2], table.iloc[-2:].assign(humid=40.5), new])
    table.to_csv(project / "data/source/weather.csv", index=False)
    monkeypatch.chdir(project)
    assert changes.same_split(FOLDER, Revision.of("HEAD"))
    check("dvc", "repro", "split", "--force", cwd=project)
    assert not changes.same_split(FOLDER, Revision.of("HEAD"))
    assert changes.rows(FOLDER, Revision.of("HEAD")) == (known, known - 8, 2, 10, 2, 2)
    assert changes.moved(FOLDER, Revision.of("HEAD")) == (known - 10, 0)
    check("rm", "-r", ".dvc/cache", cwd=project)
    assert changes.rows(FOLDER, Revision.of("HEAD")) is None
    assert changes.moved(FOLDER, Revision.of("HEAD")) is None


def test_a_value_is_no_other_for_its_columns_type():
    numbers, texts = pd.Series([1, 2, 3]), pd.Series(["1", "x", None], dtype="str")
    assert changes._differ(numbers, pd.Series([1.0, np.nan, 3])).tolist() == [False, True, False]
    assert changes._differ(numbers, texts).tolist() == [False, True, True]
    assert changes._differ(texts, texts).tolist() == [False, False, False]


def test_code_packages_and_guards_are_named(copy_of, wine: Path, monkeypatch: pytest.MonkeyPatch):
    project = copy_of(wine)
    (project / "src/core/scores.py").open("a").write("# \n")
    text = (project / "requirements.txt").read_text()
    (project / "requirements.txt").write_text(text.replace("numpy==2", "numpy==1", 1))
    change_params(project, gate={"floor": 9})
    check("dvc", "commit", "--force", cwd=project)
    commit(project)
    monkeypatch.chdir(project)
    here, base = Revision.of("HEAD"), Revision.of("HEAD~1")
    assert changes.changed_code(here, base) == {"evaluate": ["src/core/scores.py"]}
    assert list(changes.changed_keys(changes.packages(here), changes.packages(base))) == ["numpy"]
    params = changes.changed_keys(here.yaml("params.yaml"), base.yaml("params.yaml"))
    files = changes.changed_files(here, base)
    assert changes.guards(files, params) == ["requirements.txt", "src/core/scores.py", "gate.floor"]


def test_a_value_that_one_row_more_lets_show_has_not_moved():
    base, here = pd.Series(["a"] * 190 + ["b"] * 10), pd.Series(["a"] * 191 + ["b"] * 9)
    assert moved(base, here).distance < 0.01
    assert moved(here, base).distance < 0.01
