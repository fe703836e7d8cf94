"""The lock files of generated projects, made beforehand: a part of `make lock`.

    python -m tests.template.locks

One for each kind of remote storage that needs a package, and one for the tools, which all share.
"""

import shutil
import subprocess
import tempfile
from pathlib import Path

import copier

from tests.conftest import ROOT

LOCKS = {"s3": ("s3", "requirements"), "ssh": ("ssh", "requirements"), "dev": ("none", "requirements-dev")}
COMPILE = ["--quiet", "--universal", "--python-version", "3.11", "--generate-hashes", "--no-annotate"]


def main() -> None:
    for lock, (remote, name) in LOCKS.items():
        kept = ROOT / "locks" / f"{lock}.txt"
        if not kept.exists():  # what is locked already stays
            shutil.copy(ROOT / f"{name}.txt", kept)
        with tempfile.TemporaryDirectory() as folder:
            copier.run_copy(str(ROOT), folder, data={"remote": remote}, defaults=True, quiet=True, vcs_ref="HEAD")
            command = ["uv", "pip", "compile", *COMPILE, f"{name}.in", "-o", f"{name}.txt"]
            subprocess.run(command, cwd=folder, check=True)
            shutil.copy(Path(folder) / f"{name}.txt", kept)


if __name__ == "__main__":
    main()
