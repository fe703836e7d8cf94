"""Score the released model on test, with 95 % intervals, overall and by slice.

    python -m retrace.release.scoring

It writes `release/test.json`: the scores of the model, the baselines and the constant actions, those of each slice, the
decision that the costs imply, and the fingerprint of the rows.
"""

from pathlib import Path
from typing import Any

from retrace.evaluation import Predictions, predict_rows, read_rows, score_models
from retrace.files import write_json
from retrace.models import load_model
from retrace.params import Params, read_params
from retrace.resamples import fingerprint
from retrace.scored_rows import rows_to_score
from retrace.scores import BASELINES


def test_scores(params: Params, part: Path, predictions: Predictions) -> dict[str, Any]:
    """The content of release/test.json.

    Args:
        params: the project's parameters.
        part: the file of the rows that were held out.
        predictions: of the `model` and the baselines for these rows.

    Raises:
        UserError: a column of `evaluate.slices` doesn't fit these rows.
    """
    rows = rows_to_score(params, read_rows(params, part), predictions.target)
    evaluation = score_models(params, *rows, predictions)
    return {
        "rows": len(evaluation.whole.truth),
        "units": evaluation.whole.resamples.units,
        "fingerprint": fingerprint(part, params.data),
        "gate_metric": params.gate.metric,
        "scores": evaluation.scores_content(),
        "slices": evaluation.slices_content(params.gate.metric),
        "decision": evaluation.decision,
    }


def main() -> None:
    params = read_params()
    models = {name: load_model(Path(f"models/{name}.skops")) for name in ("model", *BASELINES)}
    part = Path("data/split/test.parquet")
    content = test_scores(params, part, predict_rows(params, part, models))
    write_json(content, Path("release/test.json"))
    metric = params.gate.metric
    score = content["scores"]["model"][metric]
    print(f"{metric} on test: {score['score']:.4g} ({score['low']:.4g} to {score['high']:.4g})")


if __name__ == "__main__":
    main()
