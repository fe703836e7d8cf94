"""Reproduce the commit from nothing, under conditions that should make no difference.

A clone at another path with an empty cache runs every stage with another number of threads, time zone, locale, hash
seed and umask, and with the C library's code for an older processor. (NumPy's and OpenBLAS's code doesn't depend on the
processor to begin with: retrace/__init__.py sees to that.) The results are compared with the commit's as `verify-lock`
compares them.
"""

import os
import subprocess

from retrace.clones import DVC_WITHOUT_HINTS, clean_clone, with_this_python
from retrace.errors import UserError
from retrace.review.dvc_project import FROZEN
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


def reproduce() -> Verdict:
    """Run the commit's pipeline in a clone, and compare the results.

    Raises:
        UserError: there is no commit, it has no dvc.lock, or the clone's pipeline fails.
    """
    head = Revision.of("HEAD")
    environment = with_this_python() | OTHERWISE
    frozen = [name for name, stage in read_stages(head).items() if stage.why_not_judged == FROZEN]
    with clean_clone(str(head.commit), frozen) as clone:
        print(f"{head.short}: running every stage in {clone}", flush=True)
        command = [*DVC_WITHOUT_HINTS, "repro", "--force", "dvc.yaml"]
        done = subprocess.run(command, cwd=clone, env=environment, umask=0o077)
        if done.returncode:
            raise UserError("the pipeline failed in the clone; what it printed is above")
        return verify(head, clone)
