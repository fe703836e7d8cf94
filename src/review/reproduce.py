"""The commit, made again from nothing, under everything that should make no difference.

A clone at another path with an empty cache runs every stage with another number of threads, time zone, locale, hash
seed and umask, and with the C library's code for an older processor. (NumPy's and OpenBLAS's code doesn't depend on the
processor to begin with: src/__init__.py.) What that leaves is held against the commit as `lock` does it.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from src.core.errors import UserError
from src.review.lock import Verdict, verify
from src.review.pipeline import FROZEN, opened, read_stages
from src.review.results import Revision

OTHERWISE = {
    "TZ": "Pacific/Kiritimati",
    "LC_ALL": "C" if os.environ.get("LC_ALL") != "C" else "C.UTF-8",
    "PYTHONHASHSEED": "20",
    "OMP_NUM_THREADS": "1" if os.environ.get("OMP_NUM_THREADS") == "3" else "3",
    "GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX2,-FMA,-FMA4,-AVX512F",
}


def _run(*command: str, cwd: Path) -> str:
    """What a command prints; it must not fail."""
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True)
    if done.returncode:
        raise UserError(f"{' '.join(command[:4])}: {' '.join(done.stderr.split())[-300:]}")
    return done.stdout


def reproduce() -> Verdict:
    """Make the commit again, and say what differs.

    Raises:
        UserError: there is no commit, it has no dvc.lock, or the clone's pipeline fails.
    """
    head = Revision.of("HEAD")
    here, bin_ = Path.cwd(), Path(sys.executable).parent
    environment = os.environ | OTHERWISE | {"PATH": f"{bin_}{os.pathsep}{os.environ['PATH']}"}
    dvc = [sys.executable, "-m", "dvc"]
    with tempfile.TemporaryDirectory(prefix="reproduce-") as folder:
        clone = Path(folder) / "elsewhere"
        print(f"{head.short}: every stage again in {clone}", flush=True)
        _run("git", "clone", "--quiet", str(here), str(clone), cwd=here)
        _run("git", "checkout", "--quiet", "--detach", str(head.commit), cwd=clone)
        # Whatever cache the settings name, the clone's own is empty.
        _run(*dvc, "cache", "dir", "--quiet", "--local", str(clone / ".dvc" / "cache"), cwd=clone)
        files = _run("git", "ls-files", "*.dvc", cwd=clone).split("\n")[:-1]
        files += [name for name, stage in read_stages(head).items() if stage.unjudged == FROZEN]
        if files:
            # Your own table, and what a frozen stage made, come from the cache that this folder uses.
            with opened() as repo:
                cache = repo.cache.local_cache_dir
            _run(*dvc, "remote", "add", "--quiet", "--local", "here", cache, cwd=clone)
            _run(*dvc, "pull", "--quiet", "--remote", "here", *files, cwd=clone)
        done = subprocess.run([*dvc, "repro", "--force", "dvc.yaml"], cwd=clone, env=environment, umask=0o077)
        if done.returncode:
            raise UserError("the pipeline failed in the clone; what it printed is above")
        return verify(head, clone)
