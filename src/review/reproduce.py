"""The commit, made again from nothing, under everything that should make no difference.

A clone at another path with an empty cache runs every stage with another number of threads, time zone, locale, hash
seed and umask, and with the C library's code for an older processor. (NumPy's and OpenBLAS's code doesn't depend on the
processor to begin with: src/__init__.py.) The hashes that DVC then writes down are compared with those of dvc.lock as
committed, and the results in metrics/ with the committed files.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import yaml

from src.core.errors import UserError
from src.review.results import commit_of

OTHERWISE = {
    "TZ": "Pacific/Kiritimati",
    "LC_ALL": "C" if os.environ.get("LC_ALL") != "C" else "C.UTF-8",
    "PYTHONHASHSEED": "20",
    "OMP_NUM_THREADS": "1" if os.environ.get("OMP_NUM_THREADS") == "3" else "3",
    "GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX2,-FMA,-FMA4,-AVX512F",
}


def differences(committed: dict[str, Any], made: dict[str, Any]) -> list[str]:
    """The outputs that aren't the same in two contents of dvc.lock, as `stage: path`."""
    outputs = [
        {(stage, out["path"]): out["md5"] for stage, entry in lock["stages"].items() for out in entry.get("outs", [])}
        for lock in (committed, made)
    ]
    return sorted(
        f"{key[0]}: {key[1]}" for key in outputs[0] | outputs[1] if outputs[0].get(key) != outputs[1].get(key)
    )


def _run(*command: str, cwd: Path) -> str:
    """What a command prints; it must not fail."""
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True)
    if done.returncode:
        raise UserError(f"{' '.join(command[:4])}: {' '.join(done.stderr.split())[-300:]}")
    return done.stdout


def reproduce() -> bool:
    """Make the commit again and say what differs; returns whether nothing does.

    Raises:
        UserError: there is no commit, or the clone's pipeline fails.
    """
    commit = commit_of("HEAD")
    here, bin_ = Path.cwd(), Path(sys.executable).parent
    environment = os.environ | OTHERWISE | {"PATH": f"{bin_}{os.pathsep}{os.environ['PATH']}"}
    dvc = [sys.executable, "-m", "dvc"]
    with tempfile.TemporaryDirectory(prefix="reproduce-") as folder:
        clone = Path(folder) / "elsewhere"
        print(f"{commit[:8]}: every stage again in {clone}", flush=True)
        _run("git", "clone", "--quiet", str(here), str(clone), cwd=here)
        _run("git", "checkout", "--quiet", "--detach", commit, cwd=clone)
        lock = clone / "dvc.lock"
        if not lock.exists():
            raise UserError("dvc.lock: not in the commit; run `dvc repro` and commit what it writes")
        committed = yaml.safe_load(lock.read_text(encoding="utf-8"))
        if files := _run("git", "ls-files", "*.dvc", cwd=clone).split("\n")[:-1]:
            # A table of one's own comes from this folder's cache.
            _run(*dvc, "remote", "add", "--quiet", "--local", "here", str(here / ".dvc" / "cache"), cwd=clone)
            _run(*dvc, "pull", "--quiet", "--remote", "here", *files, cwd=clone)
        done = subprocess.run([*dvc, "repro", "--force"], cwd=clone, env=environment, umask=0o077)
        if done.returncode:
            raise UserError("the pipeline failed in the clone; what it printed is above")
        found = differences(committed, yaml.safe_load(lock.read_text(encoding="utf-8")))
        found += [
            f"committed: {line[3:]}" for line in _run("git", "status", "--porcelain", "metrics", cwd=clone).splitlines()
        ]
    if found:
        print("not the same; stage and output:", *found, sep="\n  ")
        return False
    print("the same to the byte")
    return True
