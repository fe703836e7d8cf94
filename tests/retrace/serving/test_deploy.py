"""What deploy/ has for other machines: the image isn't built here, but what goes into it is tried."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import yaml

from tests.conftest import ENVIRONMENT, ROOT, check
from tests.retrace.serving.conftest import Served, rows_of

DOCKERFILE = ROOT / "deploy/Dockerfile"
UNIT = ROOT / "deploy/retrace.service"


def test_the_dockerfile_passes_its_linter():
    assert check("hadolint", "--no-color", str(DOCKERFILE), cwd=ROOT) == ""


def test_the_files_in_the_image_are_enough_without_git_and_the_project(released_wine: Path, tmp_path: Path):
    last_stage = DOCKERFILE.read_text().rpartition("\nFROM ")[2]
    copied = re.findall(r"^COPY (?!--from)(\S+) (\S+)$", last_stage, re.M)
    for source, target in copied:
        (tmp_path / target).parent.mkdir(parents=True, exist_ok=True)
        copy = shutil.copytree if (released_wine / source).is_dir() else shutil.copy
        copy(released_wine / source, tmp_path / target)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["release", "retrace"]
    [command] = re.findall(r"^CMD (\[.*\])$", last_stage, re.M)
    assert yaml.safe_load(command)[:4] == ["python", "-m", "retrace", "serve"]
    assert yaml.safe_load(command)[5:] == ["--host", "0.0.0.0"]
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "python").symlink_to(sys.executable)
    server = Served(tmp_path, yaml.safe_load(command)[4], PATH=str(programs))
    assert len(server.predict(rows_of(released_wine, 2))) == 2
    assert server.get("/model").content["version"] is None
    server.stop()


def test_only_those_files_are_sent_to_the_builder():
    ignore = (ROOT / "deploy/Dockerfile.dockerignore").read_text().splitlines()
    sent = {line[1:] for line in ignore if line.startswith("!")}
    copied = re.findall(r"^COPY (?!--from)(.*) \S+$", DOCKERFILE.read_text(), re.M)
    names = {
        "requirements*.txt" if name.startswith("requirements") else name for line in copied for name in line.split()
    }
    assert sent == names
    assert "*" in ignore


def test_the_unit_passes_the_check_of_systemd(tmp_path: Path):
    # Of a path that isn't there, systemd-analyze says only that.
    unit = UNIT.read_text().replace("/srv/retrace/project/.venv/bin/python", sys.executable)
    (tmp_path / "retrace.service").write_text(unit)
    check("systemd-analyze", "verify", str(tmp_path / "retrace.service"), cwd=tmp_path)
    broken = unit.replace("ExecStart=", "ExecBegin=")
    (tmp_path / "broken.service").write_text(broken)
    done = subprocess.run(["systemd-analyze", "verify", tmp_path / "broken.service"], env=ENVIRONMENT)
    assert done.returncode != 0
