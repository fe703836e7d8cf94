"""`audit` names what a stage reads without declaring it, of each kind, whichever of its processes reads it."""

import json
import shutil
import site
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.conftest import check, commit, retrace, run

STRACE = shutil.which("strace")
pytestmark = pytest.mark.skipif(
    STRACE is None or subprocess.run([STRACE, "-o", "/dev/null", "true"]).returncode != 0,
    reason="strace isn't installed, or may not trace here",
)

WRITE = "from pathlib import Path\nPath(f'{NAME}.out').write_text(str(value))\n"
# What each stage's script computes its value from.
SCRIPTS = {
    "declared": "value = open('given.txt').read()",
    "its_own_file": "open('temporary', 'w').write('1'); value = open('temporary').read()",
    "a_file": "value = open('die größte Datei.txt').read()",
    "a_file_of_a_child": "import subprocess; value = subprocess.run(['cat', 'given.txt', 'other.txt'])",
    "a_file_to_be_changed": "file = open('other.txt', 'r+'); value = file.read()",
    "a_file_that_it_appends_to": "open('other.txt', 'a').write('1'); value = open('other.txt').read()",
    "an_optional_file": "from pathlib import Path\n"
    "value = Path('rates.txt').read_text() if Path('rates.txt').exists() else 1",
    "a_file_that_it_tries_to_open": "try: value = open('folder/rates.txt').read()\nexcept OSError: value = 1",
    "an_optional_file_of_a_child": "import subprocess; value = subprocess.run(['python', '-c', 'open(\"rates.txt\")'])",
    "a_cache": "from pathlib import Path\n"
    "if not Path('cache.txt').exists(): Path('cache.txt').write_text('1')\n"
    "value = Path('cache.txt').read_text()",
    "a_later_output": "from pathlib import Path\nvalue = Path('the_clock.out').exists()",
    "what_it_makes_and_removes": "import os\n"
    "for name in ('part', 'parts'): os.path.exists(name)\n"
    "open('part', 'w').close(); os.remove('part'); os.makedirs('parts/1'); os.removedirs('parts/1'); value = 1",
    "its_own_result": "import os; value = os.path.exists('its_own_result.out')",
    "a_file_in_a_declared_folder": "import os; value = os.path.exists('a_package/rates.txt')",
    "a_module": "import a_package.a_module; value = 1",
    "a_file_that_it_renamed": "import os; open('p', 'w').write('1'); os.replace('p', 'w')\nvalue = open('w').read()",
    "the_standard_library": "import argparse, logging, platform, tempfile\n"
    "argparse.ArgumentParser().parse_args([]); logging.warning('x')\n"
    "with tempfile.TemporaryDirectory() as folder: value = platform.system()",
    "an_address": "import socket; value = socket.socket().connect_ex(('127.0.0.1', 9))",
    "a_variable": "import os; value = os.environ.get('RATE', '1')",
    "all_variables": "import os; value = len(dict(os.environ))",
    "the_clock": "import time; value = time.time()",
    "the_date": "from datetime import datetime; value = datetime.now()",
    "a_random_number": "import random; value = random.random()",
    "random_bytes": "import secrets; value = secrets.token_hex()",
    "an_unseeded_generator": "import random; value = random.Random().random()",
    "numpys_generator": "import numpy; value = numpy.random.rand()",
    "a_new_generator_of_numpy": "import numpy; value = numpy.random.default_rng().random()",
    "seeded": "import random, numpy; random.seed(1); numpy.random.seed(1)\n"
    "value = random.random() + numpy.random.rand() + numpy.random.default_rng(1).random()",
    "a_worker": "import os, joblib\n"
    "def read(number): return os.environ.get(f'RATE_{number}'), open('other.txt').read()\n"
    "value = joblib.Parallel(n_jobs=2)(joblib.delayed(read)(number) for number in range(2))",
}
PACKAGES = {"numpys_generator", "a_new_generator_of_numpy", "seeded", "a_worker"}


@pytest.fixture(scope="module")
def audited(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What audit.json has of each stage of a pipeline that reads in every way; and what the command printed."""
    project = tmp_path_factory.mktemp("audited")
    stages: dict[str, Any] = {}
    for name, code in SCRIPTS.items():
        (project / f"{name}.py").write_text(f"NAME = {name!r}\n{code}\n{WRITE}")
        deps = [f"{name}.py", "given.txt", *["requirements.txt"] * (name in PACKAGES)]
        deps += ["a_package"] * (name == "a_file_in_a_declared_folder")
        stages[name] = {"cmd": f"python {name}.py", "deps": deps, "outs": [{f"{name}.out": {"cache": False}}]}
    stages["no_packages"] = stages["seeded"] | {"deps": ["seeded.py"], "outs": ["no_packages.out"]}
    stages["no_packages"]["cmd"] = "python seeded.py && mv seeded.out no_packages.out && python seeded.py"
    stages["unwatched"] = stages["declared"] | {"cmd": "python -I declared.py && mv declared.out unwatched.out"}
    stages["unwatched"]["outs"] = ["unwatched.out"]
    stages["unwatched"]["cmd"] += " && python declared.py"
    stages["accepted"] = stages["a_variable"] | {"meta": {"audit": ["variable RATE"]}, "outs": ["accepted.out"]}
    stages["accepted"]["cmd"] = "python a_variable.py && cp a_variable.out accepted.out"
    stages["a_tool"] = {"cmd": "./tool.sh > a_tool.out", "outs": ["a_tool.out"]}
    stages["sorts"] = {"cmd": "sort given.txt > sorts.out", "deps": ["given.txt"], "outs": ["sorts.out"]}
    (project / "dvc.yaml").write_text(yaml.safe_dump({"stages": stages}, sort_keys=False))
    (project / "params.yaml").write_text("data:\n  source: given.txt\n")
    (project / "tool.sh").write_text("#!/bin/sh\necho 1\n")
    (project / "tool.sh").chmod(0o755)
    (project / "a_package").mkdir()
    (project / "a_package/a_module.py").touch()
    for file in ("given.txt", "other.txt", "die größte Datei.txt", "requirements.txt"):
        (project / file).write_text("1\n")
    check("git", "init", "--quiet", cwd=project)
    check("dvc", "init", "--quiet", cwd=project)
    commit(project)
    done = retrace("audit", cwd=project)
    assert done.returncode == 1, done.stderr
    return json.loads((project / "audit.json").read_text()) | {"printed": done.stdout}


@pytest.mark.parametrize(
    ("stage", "undeclared"),
    [
        ("declared", []),
        ("its_own_file", []),
        ("a_file", ["file die größte Datei.txt"]),
        ("a_file_of_a_child", ["file other.txt", "program cat"]),
        ("a_file_to_be_changed", ["file other.txt"]),
        ("a_file_that_it_appends_to", ["file other.txt"]),
        ("an_optional_file", ["optional file rates.txt"]),
        ("a_file_that_it_tries_to_open", ["optional file folder/rates.txt"]),
        ("an_optional_file_of_a_child", ["optional file rates.txt"]),
        ("a_cache", ["optional file cache.txt"]),
        ("a_later_output", ["optional file the_clock.out"]),
        ("what_it_makes_and_removes", []),
        ("its_own_result", []),
        ("a_file_in_a_declared_folder", []),
        ("a_module", ["file a_package/a_module.py"]),
        ("a_file_that_it_renamed", []),
        ("the_standard_library", []),
        ("an_address", ["address 127.0.0.1:9"]),
        ("a_variable", ["variable RATE, in a_variable.py:2"]),
        ("all_variables", ["variable all, in all_variables.py:2"]),
        ("the_clock", ["clock time.time, in the_clock.py:2"]),
        ("the_date", ["clock datetime.now, in the_date.py:2"]),
        ("a_random_number", ["randomness random, without random.seed, in a_random_number.py:2"]),
        ("random_bytes", ["randomness os.urandom, in random_bytes.py:2"]),
        ("an_unseeded_generator", ["randomness random.Random, without a seed, in an_unseeded_generator.py:2"]),
        ("numpys_generator", ["randomness numpy.random, without numpy.random.seed"]),
        ("a_new_generator_of_numpy", ["randomness os.urandom, in a_new_generator_of_numpy.py:2"]),
        ("seeded", []),
        (
            "a_worker",
            ["file other.txt", "variable RATE_0, in a_worker.py:3", "variable RATE_1, in a_worker.py:3"],
        ),
        ("no_packages", ["file requirements.txt: packages are imported"]),
        (
            "unwatched",
            ["program a Python process that ignores PYTHONPATH: its environment and clock aren't watched"],
        ),
        ("accepted", []),
        ("a_tool", ["file tool.sh"]),
        ("sorts", []),
    ],
)
def test_what_a_stage_reads_without_declaring_it_is_named(audited: dict[str, Any], stage: str, undeclared: list[str]):
    found = []
    for read in audited[stage]["undeclared"]:
        name = Path(read["name"]).name if read["kind"] == "program" else read["name"]
        found.append(f"{read['kind']} {name}" + f", in {read['reader']}" * bool(read["reader"]))
    assert found == undeclared


def test_it_is_printed_too_and_so_is_what_is_declared_and_not_read(audited: dict[str, Any]):
    assert "\na_variable\n  undeclared variable: RATE, in a_variable.py:2\n" in audited["printed"]
    assert "\ndeclared\n  every input is declared\n" in audited["printed"]
    assert "\nits_own_file\n  every input is declared\n  declared and not read: given.txt\n" in audited["printed"]
    assert (
        "\nFAIL  27 undeclared\naudit.json also lists what Git, DVC, the tool and packages read\n" in audited["printed"]
    )


def test_what_packages_read_for_themselves_is_only_listed(audited: dict[str, Any]):
    assert {"kind": "randomness", "name": "os.urandom", "reader": "numpy"} in audited["seeded"]["others"]


def test_code_that_python_runs_at_its_start_is_named_if_it_is_elsewhere(tmp_path: Path):
    """A sitecustomize of PYTHONPATH, and in the user's own folder a usercustomize and a .pth file."""
    project, paths, user = tmp_path / "project", tmp_path / "paths", tmp_path / "user"
    (project / "a.py").parent.mkdir()
    (project / "a.py").write_text("import builtins; open('a.out', 'w').write(str(builtins.added))")
    outside_environment = sys._base_executable  # an environment has no folder of the user's own
    command = f"python a.py && {outside_environment} a.py"
    stages = {"a": {"cmd": command, "deps": ["a.py", "requirements.txt"], "outs": ["a.out"]}}
    (project / "dvc.yaml").write_text(yaml.safe_dump({"stages": stages}))
    (project / "params.yaml").write_text("data:\n  source: x\n")
    (project / "requirements.txt").touch()
    paths.mkdir()
    (paths / "sitecustomize.py").write_text("import builtins; builtins.added = 1")
    packages = Path(site._get_path(str(user)))
    packages.mkdir(parents=True)
    (packages / "usercustomize.py").touch()
    (packages / "added.pth").touch()
    check("git", "init", "--quiet", cwd=project)
    check("dvc", "init", "--quiet", cwd=project)
    commit(project)
    done = retrace("audit", cwd=project, PYTHONPATH=str(paths), PYTHONUSERBASE=str(user))
    assert done.returncode == 1, done.stderr
    names = [read["name"] for read in json.loads((project / "audit.json").read_text())["a"]["undeclared"]]
    assert names == [str(paths / "sitecustomize.py"), str(packages / "added.pth"), str(packages / "usercustomize.py")]


def test_a_stage_that_fails_is_one_line(tmp_path: Path):
    (tmp_path / "dvc.yaml").write_text("stages:\n  fails:\n    cmd: 'false'\n    outs: [x]\n")
    (tmp_path / "params.yaml").write_text("data:\n  source: x\n")
    check("git", "init", "--quiet", cwd=tmp_path)
    check("dvc", "init", "--quiet", cwd=tmp_path)
    commit(tmp_path)
    done = retrace("audit", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (1, "the pipeline failed in the clone; what it printed is above\n")
    assert not (tmp_path / "audit.json").exists()


def test_without_strace_it_says_how_to_get_it(wine: Path, tmp_path: Path):
    (tmp_path / "git").symlink_to(str(shutil.which("git")))
    done = retrace("audit", cwd=wine, PATH=str(tmp_path))
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert done.stderr.startswith("strace: not installed")


@pytest.mark.slow
def test_the_demo_declares_every_input(demo: Path):
    done = run("python", "-m", "retrace", "audit", cwd=demo)
    assert done.returncode == 0, done.stdout + done.stderr
