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
  of the rows' ids and targets, the estimator and the platform;
- `slices.json`: the scores of the model on each slice, with an interval for the gate's metric;
- `bootstrap.csv`: the scores on each resample;
- `refits.csv`: the scores of each refit that `train` made;
- `curves/`: the points of the plots, such as the ROC curve.
"""

import platform
from pathlib import Path
from typing import Any

import pandas as pd

from retrace.curves import curves
from retrace.evaluation import score_models
from retrace.files import read_table, write_csv, write_json
from retrace.models import load_model
from retrace.params import Params, read_params
from retrace.resamples import fingerprint, fingerprints
from retrace.scored_rows import predictions_of_refits, score_refits
from retrace.scores import BASELINES, draws_table
from src.model import promises_same_bytes


def evaluate(params: Params, valid: pd.DataFrame, models: dict[str, Any], refits: pd.DataFrame) -> dict[str, Any]:
    """Everything that this stage writes.

    Args:
        params: the project's parameters.
        valid: the validation rows.
        models: the fitted `model` and the baselines, by name.
        refits: what the refits predict for the validation rows, as `train` writes it.

    Returns:
        The content of each file, by its path in `metrics/`.

    Raises:
        UserError: the gate's metric, the costs or a column of `evaluate.slices` doesn't fit the data.
    """
    data, gate_metric = params.data, params.gate.metric
    evaluation = score_models(params, valid, models)
    metrics, whole = evaluation.metrics, evaluation.whole

    # Each line of bootstrap.csv and refits.csv is about a model and a slice. A column and a value name the slice; both
    # are empty for the scores of all rows.
    resampled = {(name, "", ""): found.resampled for name, found in evaluation.scored.items()}
    resampled |= {("model", *name): found.resampled for name, found in evaluation.slices.items()}
    refit_predictions = predictions_of_refits(refits, data.id_column)
    refitted = {("model", "", ""): score_refits(metrics, whole, refit_predictions)}
    for name, found in evaluation.slices.items():
        refitted["model", *name] = score_refits({gate_metric: metrics[gate_metric]}, found.rows, refit_predictions)

    rows_hash = fingerprint(valid, data)
    content = {
        "scores.json": evaluation.scored["model"].scores,
        "evaluation.json": {
            "scores": evaluation.scores_content(),
            "decision": evaluation.decision,
            "estimator": {"name": params.train.model, "same_bytes": promises_same_bytes(params.train)},
            "rows": len(valid),
            "units": {"valid": whole.resamples.units, **refits.attrs},
            "fingerprints": fingerprints(valid, data),
            "platform": f"{platform.system()} {platform.machine()}",
        },
        "slices.json": evaluation.slices_content(gate_metric),
        "bootstrap.csv": draws_table(rows_hash, resampled),
        "refits.csv": draws_table(rows_hash, refitted),
    }
    drawn = curves(evaluation.target, whole.truth, evaluation.predictions["model"], private=data.hides(data.target))
    return content | {f"curves/{name}.csv": curve for name, curve in drawn.items()}


def main() -> None:
    params = read_params()
    valid = read_table(Path("data/split/valid.parquet"))
    models = {name: load_model(Path(f"models/{name}.skops")) for name in ("model", *BASELINES)}
    written = evaluate(params, valid, models, read_table(Path("models/refits.parquet")))
    for name, content in written.items():
        if isinstance(content, pd.DataFrame):
            write_csv(content, Path("metrics") / name)
        else:
            write_json(content, Path("metrics") / name)
    gate_metric = params.gate.metric
    print(f"{gate_metric} {written['scores.json'][gate_metric]:.4g} on {len(valid):,} rows")


if __name__ == "__main__":
    main()
