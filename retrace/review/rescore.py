"""Score the base's model on the validation rows of this folder: is the new model better on the new rows?

    python -m retrace report --base REV --rescore
    python -m retrace gate --base REV --rescore

With new data or moved dates, the validation rows of the two sides differ. Their scores are then compared as
independent, and only large differences can be seen. `--rescore` scores the base's models again, on the rows here, and
both sides are compared row by row.

- The base's models predict by its own code (retrace/review/base_models.py). The predictions are scored by the code and
  parameters of this folder, as those of its own model are. So a metric means the same on both sides.
- The base's model gets the rows as this folder's code prepared them. The base's own scores are used, and the reason is
  shown, if the code that makes the rows differs: the same column may then mean something else. The same holds if the
  rows have other columns or classes than the model knows, or if the model was trained on some of them.
- Training variation of the base's model is taken from its own metrics/refits.csv, because the refitted models aren't
  kept. The refits of the two sides use different random halves of the rows, so the two variances are added.
- The results are those that evaluate writes. They are kept in .dvc/tmp/rescored, under a hash of all that they depend
  on, until others are made.
"""

import hashlib
import shutil
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from retrace.errors import UserError, one_line
from retrace.examples import Target, is_number
from retrace.files import write_csv, write_json
from retrace.params import Params, SplitByTime, read_params
from retrace.resamples import fingerprint, fingerprints
from retrace.review.base_models import predict_with_base
from retrace.review.comparable import Sides
from retrace.review.dvc_project import Stage, read_inputs
from retrace.review.lock import is_output
from retrace.review.results import FILES, UNKNOWN_UNITS, Results, parse_results
from retrace.review.revision import Revision
from retrace.review.split_tables import PARTS
from retrace.scores import draws_table
from retrace.table_files import read_table

VALID = PARTS["valid"]
KEPT = Path(".dvc/tmp/rescored")
CODE = ("src/", "retrace/")


def rescore_base(sides: Sides) -> Sides:
    """Replace the base's results by the scores of its models on this folder's validation rows.

    The sides are returned unchanged if both have the same validation rows, or if there are no results to compare with.

    Raises:
        UserError: the rows or the parameters can't be read.
    """
    base, base_results = sides.base, sides.base_results
    if base is None or base_results is None or _rows_of(sides.results) == _rows_of(base_results):
        return sides
    params, valid = read_params(), read_table(Path(VALID))
    if fingerprint(valid, params.data) != _rows_of(sides.results):
        return replace(sides, why_not_rescored=f"{VALID} isn't what the results here were made from")
    if changed := _changed_code(sides):
        return replace(sides, why_not_rescored=f"its rows are made by other code: {', '.join(changed)}")
    folder = KEPT / _hash_of_inputs(sides)
    if not folder.is_dir():
        print(one_line(f"{base.name}: scoring its model on the {len(valid):,} validation rows here"), flush=True)
        try:
            predictions, train = predict_with_base(base, Path(VALID))
        except UserError as error:
            return replace(sides, why_not_rescored=str(error))
        if why_not := _why_unfair(params, valid, train):
            return replace(sides, why_not_rescored=why_not)
        shutil.rmtree(KEPT, ignore_errors=True)
        write_results(score_base(params, valid, predictions, base), base, KEPT / "new")
        (KEPT / "new").rename(folder)
    rescored = parse_results({name: (folder / name).read_bytes() for name in FILES})
    return replace(sides, base_results=rescored, rescored=True)


def note_on_rescoring(sides: Sides) -> list[str]:
    """What a reader of the gate must know of the base's scores, in at most one line."""
    if sides.base and sides.rescored:
        return [f"Compared with the model of {sides.base.name}, scored on the validation rows here."]
    if why := sides.why_not_rescored:
        return [f"The base's model can't be scored on the validation rows here, so its own scores count: {why}"]
    return []


def score_base(params: Params, valid: pd.DataFrame, predictions: pd.DataFrame, base: Revision) -> dict[str, Any]:
    """The content of the files that evaluate would write for the base's models on these rows, except refits and curves.

    Args:
        params: The parameters of this folder.
        valid: Its validation rows.
        predictions: What the base's models predict for them, as predict_elsewhere.py writes it.
        base: The base.

    Returns:
        The content of each file, by its name.
    """
    # scikit-learn takes a second to import
    from retrace.evaluation import Predictions, score_models  # noqa: PLC0415
    from retrace.scored_rows import rows_to_score  # noqa: PLC0415

    classes = predictions.attrs["classes"]
    target = Target.of(classes, params.data)
    columns_of_models: dict[str, list[str]] = {}
    for column in predictions.columns:
        columns_of_models.setdefault(column.split(".")[0], []).append(column)
    arranged = {}
    for name, columns in columns_of_models.items():
        values = predictions[columns].to_numpy(float)
        arranged[name] = target.arrange(classes, values) if classes else values[:, 0]
    rows = rows_to_score(params, valid, target)
    evaluation = score_models(params, *rows, Predictions(target, arranged))
    resampled = {(name, "", ""): found.resampled for name, found in evaluation.scored.items()}
    resampled |= {("model", *name): found.resampled for name, found in evaluation.slices.items()}
    own = base.json("metrics/evaluation.json")
    of_these_rows = {
        "scores": evaluation.scores_content(),
        "decision": evaluation.decision,
        "rows": len(valid),
        "units": own.get("units", UNKNOWN_UNITS) | {"valid": evaluation.whole.resamples.units},
        "fingerprints": fingerprints(valid, params.data),
    }
    return {
        "scores.json": evaluation.scored["model"].scores,
        "evaluation.json": own | of_these_rows,
        "slices.json": evaluation.slices_content(params.gate.metric),
        "bootstrap.csv": draws_table(fingerprint(valid, params.data), resampled),
    }


def write_results(content: dict[str, Any], base: Revision, folder: Path) -> None:
    """Write what `score_base` returns, and the base's own refits, to a folder."""
    for name, of_file in content.items():
        if isinstance(of_file, pd.DataFrame):
            write_csv(of_file, folder / name)
        else:
            write_json(of_file, folder / name)
    (folder / "refits.csv").write_bytes(base.read("metrics/refits.csv") or b"")


def _rows_of(results: Results) -> str:
    """The fingerprint of the validation rows that results are about; empty where there are none."""
    return "" if results.bootstrap.empty else str(results.bootstrap.index[0][0])


def _changed_code(sides: Sides) -> list[str]:
    """The modules that make the validation rows, directly or through other stages, and differ on the two sides."""
    code, base_code = _code_that_makes(VALID, sides.stages.values()), {}
    if sides.base_stages is not None:
        base_code = _code_that_makes(VALID, sides.base_stages.values())
    return [path for path in sorted(code | base_code) if code.get(path) != base_code.get(path)]


def _code_that_makes(path: str, stages: Collection[Stage]) -> dict[str, Any]:
    """The hash of each module or folder of modules that a file depends on, by its path."""
    code: dict[str, Any] = {}
    pending = [path]
    while pending:
        wanted = pending.pop()
        for stage in stages:
            if is_output(wanted, set(stage.outs)):
                code |= {name: value for name, value in stage.inputs.items() if name.startswith(CODE)}
                pending += stage.inputs
    return code


def _why_unfair(params: Params, valid: pd.DataFrame, train: pd.DataFrame) -> str:
    """Why the base's model can't be scored on these rows, or not fairly; empty if it can.

    With `split.purge`, the new model knows no group of the validation rows, so the base's model mustn't either.

    Args:
        params: The parameters of this folder.
        valid: Its validation rows.
        train: The rows that the base's model was trained on.
    """
    kinds, base_kinds = ({str(name): is_number(table[name]) for name in table} for table in (valid, train))
    if kinds != base_kinds:
        names = sorted(dict(kinds.items() ^ base_kinds.items()))
        return f"it was trained on other columns, or columns of another type: {', '.join(names)}"
    data = params.data
    if data.task == "classification" and not set(valid[data.target]) <= set(train[data.target]):
        return f"the rows have a class of {data.target} that it doesn't know"
    known = valid[data.id_column].isin(train[data.id_column]).sum()
    if known:
        return f"it was trained on {known:,} of these {len(valid):,} rows"
    purges = isinstance(params.split, SplitByTime) and params.split.purge
    if data.group and purges and valid[data.group].isin(train[data.group]).any():
        return f"it was trained on rows with a {data.group} that these rows have, too"
    return ""


def _hash_of_inputs(sides: Sides) -> str:
    """A hash of what the results depend on: what the base's dvc.lock records, the rows, and this folder's inputs."""
    rows = hashlib.sha256(Path(VALID).read_bytes()).hexdigest()
    inputs = (sides.base_stages, rows, read_inputs())
    return hashlib.sha256(repr(inputs).encode("utf-8", "surrogatepass")).hexdigest()[:16]
