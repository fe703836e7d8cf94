"""Reproduce the commit from nothing, under conditions that should make no difference.

A clone at another path with an empty cache runs every stage with another number of threads, time zone, locale, hash
seed and umask, and with the C library's code for an older processor. (NumPy's and OpenBLAS's code doesn't depend on the
processor to begin with: retrace/__init__.py sees to that.) The results are compared with the commit's as `verify-lock`
compares them.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from retrace.errors import UserError
from retrace.git import git, git_names
from retrace.review.dvc_project import FROZEN, open_project
from retrace.review.lock import Verdict, verify
from retrace.review.pipeline import read_stages
from retrace.review.revision import Revision

OTHERWISE = {
    "TZ": "Pacific/Kiritimati",
    "LC_ALL": "C" if os.environ.get("LC_ALL") != "C" else "C.UTF-8",
    "PYTHONHASHSEED": "20",
    "OMP_NUM_THREADS": "1" if os.environ.get("OMP_NUM_THREADS") == "3" else "3",
    "GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX2,-FMA,-FMA4,-AVX512F",
}


DVC = [sys.executable, "-m", "dvc"]


def _dvc(*arguments: str, folder: Path) -> None:
    """Run a DVC command.

    Raises:
        UserError: it fails.
    """
    done = subprocess.run([*DVC, *arguments], cwd=folder, capture_output=True, encoding="utf-8", errors="replace")
    if done.returncode:
        raise UserError(f"`dvc {arguments[0]}` fails: {' '.join(done.stderr.split())[-300:]}")


def reproduce() -> Verdict:
    """Run the commit's pipeline in a clone, and compare the results.

    Raises:
        UserError: there is no commit, it has no dvc.lock, or the clone's pipeline fails.
    """
    head = Revision.of("HEAD")
    here, bin_ = Path.cwd(), Path(sys.executable).parent
    environment = os.environ | OTHERWISE | {"PATH": f"{bin_}{os.pathsep}{os.environ['PATH']}"}
    with tempfile.TemporaryDirectory(prefix="reproduce-") as folder:
        clone = Path(folder) / "elsewhere"
        print(f"{head.short}: running every stage in {clone}", flush=True)
        git("clone", "--quiet", "--no-checkout", "--template=", "--no-reject-shallow", str(here), str(clone))
        git("checkout", "--quiet", "--detach", str(head.commit), folder=clone)
        # Whatever cache the settings name, the clone's own is empty.
        _dvc("cache", "dir", "--quiet", "--local", str(clone / ".dvc" / "cache"), folder=clone)
        files = [name for name in git_names("ls-files", "-z", folder=clone) if name.endswith(".dvc")]
        files += [name for name, stage in read_stages(head).items() if stage.why_not_judged == FROZEN]
        if files:
            # The user's own table, and what a frozen stage made, come from the cache that this folder uses.
            with open_project() as repo:
                cache = repo.cache.local_cache_dir
            _dvc("remote", "add", "--quiet", "--local", "here", cache, folder=clone)
            _dvc("pull", "--quiet", "--remote", "here", *files, folder=clone)
        done = subprocess.run([*DVC, "repro", "--force", "dvc.yaml"], cwd=clone, env=environment, umask=0o077)
        if done.returncode:
            raise UserError("the pipeline failed in the clone; what it printed is above")
        return verify(head, clone)
