"""The base's models, and what they predict for rows of this folder.

The models come from DVC's cache, else from the default storage. If neither has them, the base's pipeline runs up to
them in a clean clone. They predict in a clone of the base, by its own code: a model file may need classes and functions
of src/ as they were when it was trained.
"""

import hashlib
import subprocess
import sys
from pathlib import Path

import pandas as pd

from retrace.clones import DVC_WITHOUT_HINTS, clone_without_data, pull_sources, with_this_python
from retrace.errors import UserError, one_line
from retrace.review.dvc_project import FROZEN
from retrace.review.pipeline import read_stages
from retrace.review.revision import Revision
from retrace.review.split_tables import PARTS
from retrace.scores import BASELINES
from retrace.table_files import read_table

MODEL = "models/model.skops"
NEEDED = [MODEL, *(f"models/{name}.skops" for name in BASELINES), PARTS["train"]]
SCRIPT = Path(__file__).with_name("predict_elsewhere.py")


def predict_with_base(base: Revision, rows: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """What the base's models predict for a table, and the rows that they were trained on.

    Args:
        base: The base, a commit.
        rows: The table's file.

    Returns:
        The predictions, as predict_elsewhere.py writes them, and the base's table `train`.

    Raises:
        UserError: the base's pipeline fails, or its models can't predict with the installed packages.
    """
    with clone_without_data(str(base.commit)) as clone:
        _provide_models(base, clone)
        predictions = clone / "predictions.parquet"
        command = [sys.executable, "-P", str(SCRIPT), str(rows.resolve()), str(predictions)]
        environment = with_this_python() | {"PYTHONPATH": str(clone)}
        done = subprocess.run(command, cwd=clone, env=environment, stderr=subprocess.PIPE, encoding="utf-8")
        if done.returncode:
            reason = (done.stderr.strip().splitlines() or ["no reason was printed"])[-1]
            raise UserError(f"{base.name}: its models can't predict for the validation rows here: {reason}")
        return read_table(predictions), read_table(clone / PARTS["train"])


def _provide_models(base: Revision, clone: Path) -> None:
    """Put the base's models, and the table that they were trained on, into a clone of it."""
    from dvc.api import DVCFileSystem  # noqa: PLC0415  # slow to import, and most commands don't need it

    try:
        files = DVCFileSystem(rev=base.commit)  # it reads from the cache, or else from the default storage
        for path in NEEDED:
            (clone / path).parent.mkdir(parents=True, exist_ok=True)
            files.get_file(path, str(clone / path))
    except Exception as error:  # a storage's own libraries raise what they like, such as that there is no password
        reason = str(error).partition("\n")[0]
        where = "neither in DVC's cache nor in its storage"
        print(one_line(f"{base.name}: its model is {where} ({reason}); its pipeline runs in {clone}"), flush=True)
        _train(base, clone)


def _train(base: Revision, clone: Path) -> None:
    """Run the base's pipeline up to its models.

    Raises:
        UserError: it fails, or the cache lacks the table that it begins with.
    """
    stages = read_stages(base)
    pull_sources(clone, [name for name, stage in stages.items() if stage.why_not_judged == FROZEN])
    wanted = [name for name, stage in stages.items() if not stage.outs.keys().isdisjoint(NEEDED)]
    done = subprocess.run([*DVC_WITHOUT_HINTS, "repro", "--force", *wanted], cwd=clone, env=with_this_python())
    if done.returncode:
        raise UserError(f"{base.name}: its pipeline failed in the clone; what it printed is above")
    md5 = hashlib.md5((clone / MODEL).read_bytes(), usedforsecurity=False).hexdigest()
    if md5 not in [stage.outs.get(MODEL) for stage in stages.values()]:
        print(one_line(f"{base.name}: its retrained model differs from the recorded one"), flush=True)
