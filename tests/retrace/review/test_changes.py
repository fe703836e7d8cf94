"""What changed between two revisions: rows, columns, distributions, packages."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrace.review import changes
from retrace.review.results import FOLDER, Revision
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
    truths = pd.Series([True, False, True])
    for others in ([1, 0, 0], [1.0, 0.0, 0.0], ["True", "FALSE", "0"]):
        assert changes._differ(truths, pd.Series(others)).tolist() == [False, False, True]


def test_code_packages_and_guards_are_named(copy_of, wine: Path, monkeypatch: pytest.MonkeyPatch):
    project = copy_of(wine)
    (project / "retrace/scores.py").open("a").write("# \n")
    text = (project / "requirements.txt").read_text()
    (project / "requirements.txt").write_text(text.replace("numpy==2", "numpy==1", 1))
    change_params(project, gate={"floor": 9})
    check("dvc", "commit", "--force", cwd=project)
    commit(project)
    monkeypatch.chdir(project)
    here, base = Revision.of("HEAD"), Revision.of("HEAD~1")
    assert changes.changed_code(here, base) == {"evaluate": ["retrace/scores.py"]}
    assert list(changes.changed_keys(changes.packages(here), changes.packages(base))) == ["numpy"]
    assert changes.touched(here, base) == (["retrace/scores.py", "gate.floor"], ["requirements.txt"])


def test_a_value_that_one_row_more_lets_show_has_not_moved():
    base, here = pd.Series(["a"] * 190 + ["b"] * 10), pd.Series(["a"] * 191 + ["b"] * 9)
    assert moved(base, here).distance < 0.01
    assert moved(here, base).distance < 0.01


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with parameters and a file in a submodule's place."""
    check("git", "init", "--quiet", cwd=tmp_path)
    (tmp_path / "params.yaml").write_text("gate: {floor: 0.7}\ntrain: {seed: 1, refits: 5}\n")
    commit(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def put(file: Path, text: str = "x") -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


HARMLESS = [
    *("README.md", "docs/a.md", "src/a.md", "docs/a/b.png", "metrics/scores.json"),
    *("metrics/curves/roc.csv", "dvc.lock", "data/source/table.csv", "data/source/flights.sha256"),
]
IS_CODE = [
    *("src/stages/train.py", "src/datasets/mine.py", "src/text/tokens.py", "requirements.txt"),
    *("requirements-dev.in",),
]
JUDGES = [
    *("retrace/review/gate.py", "retrace/scores.py", "retrace/resamples.py", "src/__init__.py"),
    *("src/stages/split.py", "src/stages/evaluate.py", "src/stages/validate.py", "src/Stages/split.py"),
    *("retrace/adopt/plan.py", "Retrace/gate.py", "retrace.py", "src/stages.py", "src/stages/split/__init__.py"),
    *("src/stages/evaluate.cpython-312-x86_64-linux-gnu.so", "retrace/review/__init__.py"),
    *(".github/workflows/pipeline.yml", "Makefile", "GNUmakefile", "makefile", "sklearn.py"),
    *("sklearn/__init__.py", "pyproject.toml", ".dvcignore", ".dvc/config", ".copier-answers.yml"),
    *("data/schema.yaml", ".gitattributes", "metrics/.gitattributes", "docs/.dvcignore", "docs/dvc.yaml"),
    *("src/stages/__init__.py", "src/.dvcignore", "src/dvc.yaml", "src/datasets/a.dvc", "src/datasets/mine.so"),
    *("docs/conf.py", "dvc.yaml", "metrics/__init__.py", "docs/a.dvc", "Docs/a.png", "README.MD"),
    *("tests/test_project.py", "conftest.py", "setup.cfg", "data/source/.gitignore", "data/source/a.py"),
    *("data/a.csv", "requirements.txt/a", ".a.md", ".github/a.md"),
]


@pytest.mark.parametrize(
    ("names", "found"),
    [
        ([*HARMLESS, "data/source/a b/part.parquet"], ([], [])),
        (IS_CODE, ([], sorted(IS_CODE))),
        ([*JUDGES, "a\nb.md/c"], (sorted([*JUDGES, "a\nb.md/c"]), [])),
    ],
    ids=["harmless", "code", "what judges"],
)
@pytest.mark.parametrize("state", ["not in Git yet", "committed", "deleted"])
def test_a_changed_file_is_harmless_only_if_it_is_known_to_be(
    small: Path, names: list[str], found: tuple[list[str], list[str]], state: str
):
    base = Revision.of("HEAD")
    for name in names:
        put(small / name)
    here = FOLDER
    if state != "not in Git yet":
        commit(small)
        here = Revision.of("HEAD")
    if state == "deleted":
        base, here = here, base
    judges, code = changes.touched(here, base)
    assert (sorted(judges), sorted(code)) == found


@pytest.mark.parametrize("committed", [False, True])
def test_a_link_and_a_submodule_judge_wherever_they_are(small: Path, committed: bool):
    put(small / "docs/params.yaml.txt", (small / "params.yaml").read_text())
    commit(small)
    base = Revision.of("HEAD")
    (small / "docs/a.md").symlink_to("../params.yaml")
    (small / "src").mkdir()
    (small / "src/linked.py").symlink_to("../README.md")
    (small / "params.yaml").unlink()
    (small / "params.yaml").symlink_to("docs/params.yaml.txt")
    if committed:
        commit(small)
        sha = check("git", "rev-parse", "HEAD", cwd=small).strip()
        check("git", "update-index", "--add", "--cacheinfo", f"160000,{sha},docs/module.md", cwd=small)
        check("git", "-c", "user.name=a", "-c", "user.email=a@b", "commit", "--quiet", "--message", "x", cwd=small)
    judges, code = changes.touched(Revision.of("HEAD") if committed else FOLDER, base)
    assert code == []
    assert {"docs/a.md", "src/linked.py", "params.yaml"} <= set(judges)
    assert ("docs/module.md" in judges) == committed


def test_a_renamed_file_is_named_by_both_names(small: Path):
    put(small / "Makefile", "all:\n" * 50)
    commit(small)
    (small / "docs").mkdir()
    (small / "Makefile").rename(small / "docs/a.md")
    commit(small)
    assert changes.touched(Revision.of("HEAD"), Revision.of("HEAD~1")) == (["Makefile"], [])


@pytest.mark.parametrize(
    ("text", "judges"),
    [
        ("# a comment\ngate: {floor: 0.7}\ntrain: {seed: 1, refits: 5}\n", []),
        ("gate: {floor: 0.7}\ntrain: {seed: 2, refits: 5, model: a}\ndata: {read: {a: 1}, source: b}\n", []),
        ("gate: {floor: 0.7}\ntrain: {seed: 1, refits: 2}\n", ["train.refits"]),
        ("gate: {floor: 0.6}\ntrain: {seed: 1, refits: 5}\n", ["gate.floor"]),
        ("gate: []\ntrain: {seed: 1, refits: 5}\n", ["gate", "gate.floor"]),
        ("gate: {floor: 0.7}\ntrain:\n", ["train.refits"]),
        ("gate: {floor: 0.7}\ntrain: {seed: 1, refits: 5}\ndata: {target: a}\n", ["data.target"]),
        ("gate: {floor: 0.7}\ntrain: {seed: 1, refits: 5}\ndata: a\n", ["data"]),
        ("gate: {floor: 0.7}\ntrain: {seed: 1, refits: 5}\nmine: {key: 1}\n", ["mine.key"]),
        ("[", ["gate.floor", "params.yaml", "train.refits"]),
        ("- a list\n", ["gate.floor", "params.yaml", "train.refits"]),
    ],
)
def test_a_parameter_is_harmless_only_if_it_is_known_to_be(small: Path, text: str, judges: list[str]):
    (small / "params.yaml").write_text(text)
    commit(small)
    assert sorted(changes.touched(Revision.of("HEAD"), Revision.of("HEAD~1")).judges) == judges
    assert sorted(changes.touched(FOLDER, Revision.of("HEAD~1")).judges) == judges


@pytest.mark.parametrize(
    ("text", "harmless"),
    [
        ("outs:\n- md5: abc\n  size: 1\n  path: table.csv\n", True),
        ("cmd: curl example\nouts:\n- path: table.csv\n", False),
        ("wdir: ../../src\nouts:\n- path: review\n", False),
        ("outs:\n- path: ../../retrace/review/gate.py\n", False),
        ("[", False),
        ("", False),
    ],
)
def test_a_pointer_to_data_is_harmless_only_if_it_is_nothing_more(small: Path, text: str, harmless: bool):
    put(small / "data/source/table.csv.dvc", text)
    commit(small)
    assert (changes.touched(Revision.of("HEAD"), Revision.of("HEAD~1")) == ([], [])) == harmless
    check("git", "rm", "--quiet", "data/source/table.csv.dvc", cwd=small)
    commit(small)
    assert changes.touched(Revision.of("HEAD"), Revision.of("HEAD~1")) == ([], [])
