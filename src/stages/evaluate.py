"""Score the model and its baselines on the validation rows, overall and by slice. Nothing is fitted here.

    python -m src.stages.evaluate

The model and the baselines are scored on `valid`, and again on bootstrap resamples of its rows, which give the 95 %
intervals. The resamples are the same for all of them, so that any two can be compared. retrace/scored_rows.py says how
the rows are resampled and what the intervals are. If `problem.costs` is set, two simple rules are scored on the metric
`cost` for comparison: `always` decides to act for every row, and `never` for none.

The results are in `metrics/`:

- `scores.json`: the model's scores, for `dvc metrics` and `dvc exp`;
- `evaluation.json`: the scores on all rows with their intervals; the numbers of right and wrong decisions, if
  `problem.costs` is set; and what a comparison with another commit needs to know: the numbers of rows and units, hashes
  of the rows' ids and targets, the estimator and the platform; and whether the model was fitted on a sample;
- `slices.json`: the scores of the model on each slice, with an interval for the gate's metric;
- `bootstrap.csv`: the scores on each resample;
- `refits.csv`: the scores of each refit that `train` made;
- `curves/`: the points of the plots, such as the ROC curve.
"""

import platform
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, Self

import pandas as pd

from retrace.curves import curves
from retrace.evaluation import Predictions, predict_rows, read_rows, score_models, target_of
from retrace.examples import Target
from retrace.files import write_csv, write_json
from retrace.models import load_model
from retrace.params import Params, read_params
from retrace.resamples import SliceName, fingerprint, fingerprints
from retrace.scored_rows import WHOLE, Rows, read_refits, rows_to_score, score_refits
from retrace.scorers import Array
from retrace.scores import BASELINES, draws_table
from retrace.table_files import without_rows
from src.model import promises_same_bytes


class Valid(NamedTuple):
    """The validation rows, and hashes by which they are recognised.

    Attributes:
        whole: all of them.
        slices: those of each slice.
        drawn: what `fingerprint` returns.
        fingerprints: what `fingerprints` returns.
    """

    whole: Rows
    slices: dict[SliceName, Rows]
    drawn: str
    fingerprints: dict[str, str]

    @classmethod
    def read(cls, params: Params, path: Path, target: Target) -> Self:
        """Read them from a file that `split` wrote.

        Raises:
            UserError: a column of `evaluate.slices` doesn't fit the data.
        """
        hashes = fingerprint(path, params.data), fingerprints(path, params.data)
        return cls(*rows_to_score(params, read_rows(params, path), target), *hashes)


def evaluate(
    params: Params,
    valid: Valid,
    predictions: Predictions,
    refits: Iterable[Array],
    trained: Mapping[Any, Any],
) -> dict[str, Any]:
    """Everything that this stage writes.

    Args:
        params: the project's parameters.
        valid: the validation rows.
        predictions: of the `model` and the baselines for these rows.
        refits: what each refit predicts for these rows.
        trained: how many independent units `train` has, and how many the `half` that a refit is fitted on; and, if the
            models are fitted on a `sample` of train, its size.

    Returns:
        The content of each file, by its path in `metrics/`.

    Raises:
        UserError: the gate's metric or the costs don't fit the data.
    """
    data, gate_metric, whole = params.data, params.gate.metric, valid.whole
    evaluation = score_models(params, whole, valid.slices, predictions)
    metrics = evaluation.metrics

    # Each line of bootstrap.csv and refits.csv is about a model and a slice. A column and a value name the slice; both
    # are empty for the scores of all rows.
    resampled = {(name, *WHOLE): found.resampled for name, found in evaluation.scored.items()}
    resampled |= {("model", *name): found.resampled for name, found in evaluation.slices.items()}
    scored_refits = score_refits(metrics, gate_metric, {WHOLE: whole} | valid.slices, refits)
    refitted = {("model", *name): found for name, found in scored_refits.items()}

    units = {name: count for name, count in trained.items() if name != "sample"}
    sample = {"sample": trained["sample"]} if "sample" in trained else {}
    content = {
        "scores.json": evaluation.scored["model"].scores,
        "evaluation.json": {
            "scores": evaluation.scores_content(),
            "decision": evaluation.decision,
            "estimator": {"name": params.train.model, "same_bytes": promises_same_bytes(params.train)},
            "rows": len(whole.truth),
            "units": {"valid": whole.resamples.units, **units},
            **sample,
            "fingerprints": valid.fingerprints,
            "platform": f"{platform.system()} {platform.machine()}",
        },
        "slices.json": evaluation.slices_content(gate_metric),
        "bootstrap.csv": draws_table(valid.drawn, resampled),
        "refits.csv": draws_table(valid.drawn, refitted),
    }
    drawn = curves(evaluation.target, whole.truth, predictions.values["model"], private=data.hides(data.target))
    return content | {f"curves/{name}.csv": curve for name, curve in drawn.items()}


def main() -> None:
    params = read_params()
    part, refits = Path("data/split/valid.parquet"), Path("models/refits.parquet")
    models = {name: load_model(Path(f"models/{name}.skops")) for name in ("model", *BASELINES)}
    valid = Valid.read(params, part, target_of(models["model"], params.data))  # before predictions take memory, too
    predictions = predict_rows(params, part, models)
    refit_predictions, trained = read_refits(refits, params.data.id_column), without_rows(refits).attrs
    written = evaluate(params, valid, predictions, refit_predictions, trained)
    for name, content in written.items():
        if isinstance(content, pd.DataFrame):
            write_csv(content, Path("metrics") / name)
        else:
            write_json(content, Path("metrics") / name)
    gate_metric = params.gate.metric
    print(f"{gate_metric} {written['scores.json'][gate_metric]:.4g} on {len(valid.whole.truth):,} rows")


if __name__ == "__main__":
    main()
