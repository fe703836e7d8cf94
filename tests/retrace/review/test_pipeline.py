"""Stale means what DVC means by it: each answer is compared with DVC's own, in a clone of the commit."""

import re
import shutil
from collections.abc import Callable
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, ClassVar

import pytest
import yaml
from dvc.repo import Repo
from dvc.repo.reproduce import _reproduce_stage
from dvc.stage import Stage
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from retrace.errors import UserError
from retrace.review.lock import find_problem, stale_stages
from retrace.review.pipeline import read_stages
from retrace.review.revision import FOLDER, Revision
from tests.conftest import check, commit, run
from tests.retrace.review.small import TWO, copied, edit, inside, new_project, write

NOT_JUDGED = ("frozen", "always_changed")


def would_run(folder: Path) -> set[str]:
    """The stages that DVC would run in a folder, from its API, which is faster than its command line."""

    def reproduce(stage: Stage, **how: Any) -> Stage | None:
        try:
            return _reproduce_stage(stage, **how)
        except FileNotFoundError:  # DVC 3.67 looks in its run-cache for a stage to run, though a dependency is missing
            return stage

    with inside(folder), Repo() as repo:
        stages = repo.reproduce(targets=["dvc.yaml"], dry=True, allow_missing=True, repro_fn=reproduce)
        return {stage.addressing for stage in stages}


def said_by_dvc(folder: Path) -> set[str]:
    """The stages that DVC's command line would run in a folder."""
    done = run("dvc", "repro", "--dry", "--allow-missing", "dvc.yaml", cwd=folder)
    # It ends where a stage to run lacks a dependency. It may also restore a stage, or verify the data of a .dvc file.
    ran = "Running stage '(.+)':|Stage '(.+)' is cached|Verifying .* stage: '(.+)'|ERROR: failed to reproduce '(.+?)'"
    return {name for names in re.findall(f"^(?:{ran})", done.stdout + done.stderr, re.M) for name in names if name}


def unjudged(revision: Revision) -> dict[str, str]:
    """The stages that DVC runs always or never, with the reason."""
    return {name: stage.why_not_judged for name, stage in read_stages(revision).items() if stage.why_not_judged}


def clone_of(folder: Path) -> Path:
    """A clone without data."""
    clone = folder.parent / f"clone of {folder.name}"
    check("git", "clone", "--quiet", str(folder), str(clone), cwd=folder)
    return clone


def unchanged(folder: Path) -> None:
    """No change."""


CASES: dict[str, tuple[dict[str, Any], Callable[[Path], object], dict[str, list[str]]]] = {
    "nothing": (TWO, unchanged, {}),
    "a dependency": (TWO, lambda at: (at / "a.in").write_text("2"), {"a": ["a.in"]}),
    "a command": (TWO, lambda at: edit(at / "dvc.yaml", "cp a.out", "cp  -p a.out"), {"b": ["cmd"]}),
    "a renamed stage": (TWO, lambda at: edit(at / "dvc.yaml", "  b:", "  c:"), {"c": ["never run"]}),
    "a deleted stage": (TWO, lambda at: write(at, {"a": TWO["a"]}), {}),
    "a dependency less": (TWO, lambda at: write(at, {"a": copied("a", deps=[]), "b": TWO["b"]}), {}),
    "a dependency more": (
        TWO,
        lambda at: write(at, {"a": copied("a", deps=["a.in", "other.toml"]), "b": TWO["b"]}),
        {"a": ["other.toml"]},
    ),
    "a parameter of another file": (
        {"a": copied("a", params=[{"other.toml": ["key"]}, {"other.json": ["k.l"]}, {"other.py": ["N"]}])},
        lambda at: (
            (at / "other.toml").write_text("key = 2\n"),
            (at / "other.json").write_text('{"k": {"l": 2}}\n'),
            (at / "other.py").write_text("N = 2\n"),
        ),
        {"a": ["other.toml: key", "other.json: k.l", "other.py: N"]},
    ),
    "a section of parameters": (
        {"a": copied("a", params=["section"])},
        lambda at: edit(at / "params.yaml", "x: 1", "x: 2"),
        {"a": ["section.x"]},
    ),
    "a number written otherwise": (
        {"a": copied("a", params=["small"])},
        lambda at: edit(at / "params.yaml", "0.00001", "1.0e-05"),
        {},
    ),
    "a dependency inside an output": (
        {
            "a": {"cmd": "mkdir -p d && cp a.in d/x && cp a.in d/y", "deps": ["a.in"], "outs": ["d"]},
            "b": {"cmd": "cp d/x b.out", "deps": ["d/x"], "outs": ["b.out"]},
        },
        unchanged,
        {},
    ),
    "foreach and matrix": (
        {
            "each": {"foreach": ["p", "q"], "do": copied("a", cmd="cp a.in ${item}.out", outs=["${item}.out"])},
            "grid": {
                "matrix": {"m": ["u", "v"]},
                "cmd": "cp a.in ${item.m}.out",
                "deps": ["a.in"],
                "outs": ["${item.m}.out"],
            },
        },
        lambda at: edit(at / "dvc.yaml", "- q", "- r"),
        {"each@r": ["never run"]},
    ),
    "a cached output under metrics": (
        {"a": {"cmd": "mkdir -p metrics && cp a.in metrics/a", "deps": ["a.in"], "outs": ["metrics/a"]}},
        unchanged,
        {},
    ),
    "parameters that are NaN": (
        {"a": copied("a", params=["list"]), "b": {"cmd": "echo > b.out", "params": ["nan"], "outs": ["b.out"]}},
        unchanged,
        {"b": ["nan"]},  # DVC compares numbers, and NaN is no number's equal; in a list it's the same object
    ),
    "a result edited": (
        {"a": copied("a", outs=[{"a.out": {"cache": False}}])},
        lambda at: (at / "a.out").write_text("3"),
        {"a": ["a.out"]},
    ),
    "a symbolic link and a carriage return": (
        {"a": copied("a", deps=["link", "crlf.txt"])},
        unchanged,
        {},
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_stale_is_what_dvc_would_run_in_a_clone(tmp_path: Path, case: str):
    stages, change, expected = CASES[case]
    project = new_project(
        tmp_path / "project",
        stages,
        **{
            "a.in": "1",
            "params.yaml": "section: {x: 1, y: 2}\nsmall: 0.00001\nnan: .nan\nlist: [.nan, 1]\n",
            "other.toml": "key = 1\n",
            "other.json": '{"k": {"l": 1}}\n',
            "other.py": "N = 1\n",
            "crlf.txt": "1\r\n",
            ".gitattributes": "crlf.txt text eol=crlf\n",
        },
    )
    change(project)
    if check("git", "status", "--porcelain", cwd=project):
        commit(project)
    with inside(project):
        assert stale_stages(Revision.of("HEAD")) == expected
    assert said_by_dvc(clone_of(project)) == expected.keys()


# One random stage of a pipeline; `upstream` is what it takes from the stage before it.
STAGE = st.fixed_dictionaries(
    {
        "params": st.sampled_from([None, "number", "section", "nan", "other.toml", "other.json", "other.py"]),
        "upstream": st.sampled_from([None, "output", "file inside"]),
        "folder": st.booleans(),
        "cache": st.booleans(),
        "many": st.sampled_from([None, "foreach", "matrix"]),
    }
)
CHANGES = ["dependency", "params", "command", "add", "rename", "remove", "output", "edit", "frozen", "always_changed"]
FILES = {
    "params.yaml": "number: 1\nsection: {x: 1, y: [1, 2]}\nnan: .nan\n",
    "other.toml": "key = 1\n",
    "other.json": '{"key": 1}\n',
    "other.py": "key = 1\n",
}


def drawn_stage(at: int, drawn: dict[str, Any], before: dict[str, Any] | None) -> dict[str, Any]:
    """A stage as dvc.yaml has it: s0 reads s0.in and makes metrics/s0, which may be a folder."""
    item = {"foreach": "${item}", "matrix": "${item.m}", None: ""}[drawn["many"]]
    out = f"metrics/s{at}{item}"
    made = f"mkdir -p {out} && cp s{at}.in {out}/x && cp s{at}.in {out}/y" if drawn["folder"] else f"cp s{at}.in {out}"
    stage: dict[str, Any] = {"cmd": f"mkdir -p metrics && {made}", "deps": [f"s{at}.in"]}
    stage["outs"] = [{out: {"cache": drawn["cache"]}}]
    if drawn["upstream"] and before:
        taken = f"metrics/s{at - 1}{'p' if before['many'] else ''}"
        stage["deps"].append(f"{taken}/x" if before["folder"] and drawn["upstream"] == "file inside" else taken)
    if name := drawn["params"]:
        stage["params"] = [{name: ["key"]} if "." in name else name]
    if drawn["many"] == "foreach":
        return {"foreach": ["p", "q"], "do": stage}
    return stage | ({"matrix": {"m": ["p", "q"]}} if drawn["many"] else {})


def make_change(folder: Path, stages: dict[str, Any], what: str, at: int) -> None:
    """Change one thing in a project."""
    name = list(stages)[at % len(stages)]
    stage = stages[name].get("do", stages[name])
    made = folder / next(iter(stage["outs"][0])).replace("${item}", "p").replace("${item.m}", "p")
    if what == "dependency":
        (folder / f"s{name[1:].rstrip('n')}.in").write_text("changed")
    elif what == "params":
        for file in FILES:
            (folder / file).write_text((folder / file).read_text().replace("1", "3", 1 + at % 2))
    elif what == "command":
        stage["cmd"] += " && true"
    elif what == "add":
        stages["added"] = {"cmd": "cp s0.in added", "deps": ["s0.in"], "outs": ["added"]}
    elif what == "rename":
        stages[f"{name}n"] = stages.pop(name)
    elif what == "remove" and len(stages) > 1:
        del stages[name]
    elif what == "output" and made.exists():
        shutil.rmtree(made) if made.is_dir() else made.unlink()
    elif what == "edit" and made.exists():
        file = made / "x" if made.is_dir() else made
        file.unlink()  # it may be linked to the cache
        file.write_text("edited")
    elif what in NOT_JUDGED:
        stage[what] = True
    write(folder, stages)


@settings(max_examples=15, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
@given(
    drawn=st.lists(STAGE, min_size=1, max_size=3),
    changes=st.lists(st.tuples(st.sampled_from(CHANGES), st.integers(0, 2)), max_size=3),
)
def test_random_pipelines_changed_at_random_are_judged_as_dvc_judges_them(
    tmp_path_factory: pytest.TempPathFactory, drawn: list[dict[str, Any]], changes: list[tuple[str, int]]
):
    project = tmp_path_factory.mktemp("random") / "project"
    stages = {f"s{at}": drawn_stage(at, one, drawn[at - 1] if at else None) for at, one in enumerate(drawn)}
    new_project(project, stages, **FILES, **{f"s{at}.in": str(at) for at in range(len(drawn))})
    for what, at in changes:
        make_change(project, stages, what, at)
    with inside(project):
        assert stale_stages(FOLDER).keys() == would_run(project) - unjudged(FOLDER).keys()
    if check("git", "status", "--porcelain", cwd=project):
        commit(project)
    with inside(project):
        revision = Revision.of("HEAD")
        clone = clone_of(project)
        assert stale_stages(revision).keys() == would_run(clone) - unjudged(revision).keys()
        settings_of = {name: stage.get("do", stage) for name, stage in stages.items()}
        special = {name for name, stage in settings_of.items() if any(stage.get(key) for key in NOT_JUDGED)}
        assert {name.partition("@")[0] for name in unjudged(revision)} == special


def test_another_pipeline_of_the_project_is_not_judged(tmp_path: Path):
    project = new_project(tmp_path / "project", TWO, **{"a.in": "1"})
    (project / "release").mkdir()
    (project / "release/dvc.yaml").write_text(yaml.safe_dump({"stages": {"card": copied("card", deps=["../b.out"])}}))
    commit(project)
    with inside(project):
        assert stale_stages(Revision.of("HEAD")) == {}, "release/dvc.yaml has never run"
    (project / "release/dvc.yaml").write_text("stages: [")
    commit(project)
    with inside(project):
        assert stale_stages(FOLDER) == stale_stages(Revision.of("HEAD")) == {}


def test_frozen_and_always_changed_stages_are_listed(tmp_path: Path):
    project = new_project(tmp_path / "project", TWO | {"hello": {"cmd": "echo hello"}}, **{"a.in": "1"})
    write(project, {"a": copied("a", frozen=True), "b": TWO["b"] | {"always_changed": True}, "hello": {"cmd": "echo"}})
    (project / "a.in").write_text("2")
    commit(project)
    with inside(project):
        revision = Revision.of("HEAD")
        assert stale_stages(revision) == {}
        assert unjudged(revision) == {
            "a": "frozen: DVC never runs it",
            "b": "DVC always runs it",
            "hello": "DVC always runs it",
        }


def test_a_result_that_git_lacks_is_a_problem_though_dvc_allows_it(tmp_path: Path):
    project = new_project(tmp_path / "project", {"a": copied("a", outs=[{"a.out": {"cache": False}}])}, **{"a.in": "1"})
    (project / "a.out").unlink()
    commit(project)
    with inside(project):
        revision = Revision.of("HEAD")
        assert stale_stages(revision) == {}
        assert find_problem(revision).differences["a: a.out"] == ["missing"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("dvc.lock", "<<<<<<< HEAD", "dvc.lock' validation failed"),
        ("dvc.yaml", "stages: [1]", "dvc.yaml' validation failed"),
        ("dvc.yaml", "stages: {a: {cmd: 'cp ${x} y'}}", "Could not find 'x'"),
        ("params.yaml", "split: {from: 2024-08-20}", "params.yaml:split.from'; a date needs quotes"),
    ],
)
def test_what_dvc_cannot_read_is_one_line_without_the_name_of_a_temporary_folder(
    tmp_path: Path, name: str, content: str, message: str
):
    project = new_project(tmp_path / "project", TWO, **{"a.in": "1"})
    (project / name).write_text(content)
    commit(project)
    with inside(project):
        for revision in (FOLDER, Revision.of("HEAD")):
            with pytest.raises(UserError) as error:
                stale_stages(revision)
            assert message in str(error.value)
            assert "\n" not in str(error.value)
            assert "checkout-" not in str(error.value)


def test_nothing_is_left_behind(tmp_path: Path):
    project = new_project(tmp_path / "project", TWO, **{"a.in": "1"})
    index = (project / ".git/index").read_bytes()
    with inside(project):
        stale_stages(Revision.of("HEAD"))
    assert (project / ".git/index").read_bytes() == index
    assert len(check("git", "worktree", "list", cwd=project).splitlines()) == 1


class Served(SimpleHTTPRequestHandler):
    """Serves a folder, and counts what is asked."""

    asked: ClassVar[list[str]] = []

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002  # the library's name
        self.asked.append(format % arguments)


def test_what_was_imported_from_elsewhere_is_not_asked_for_again(tmp_path: Path):
    """The advice for a dependency on an address: `dvc import-url`."""
    (tmp_path / "served").mkdir()
    (tmp_path / "served/a.in").write_text("1")
    project = new_project(tmp_path / "project", TWO, **{"a.in": "1"})
    check("git", "rm", "--quiet", "a.in", cwd=project)
    commit(project)
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Served, directory=str(tmp_path / "served"))) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        check("dvc", "import-url", f"http://127.0.0.1:{server.server_port}/a.in", cwd=project)
        commit(project)
        Served.asked.clear()
        with inside(project):
            assert stale_stages(FOLDER) == stale_stages(Revision.of("HEAD")) == {}
        server.shutdown()
    assert Served.asked == []
