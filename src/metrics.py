"""METRICS: this project's own metrics, beside those of the tool (retrace/scores.py). There are none at first.

An example: what the model's errors cost per row, where `amount` is a column of the prepared table, in euros.

    import numpy as np

    def lost_euros(truth, predictions, weights, table):
        wrong = truth != (predictions >= 0.5)
        return np.average(wrong * table["amount"], weights=weights)

    METRICS = {"lost_euros": ProjectMetric(lost_euros, higher_is_better=False, lowest=0)}

The function is called with the same rows again and again: all validation rows, or those of a slice, each time with
other weights. It takes:

- `truth`: the targets, shape (rows,). With two classes: True for the positive class. In a multiclass problem: the index
  of the class in sorted order, from 0. In a regression: the target.
- `predictions`: with two classes the probability of the positive class, shape (rows,); in a multiclass problem the
  probability of each class, shape (rows, classes); in a regression the predicted number, shape (rows,).
- `weights`: how often each row counts, shape (rows,): once, or as often as it is in a resample, which may be never.
- `table`: the rows as `prepare` made them, with every column. If the model must not learn from a column that a metric
  needs, name the column in `data.drop` in params.yaml.

It returns one number, or NaN where the score isn't defined. A row of weight 2 must count as two rows. The function
cannot change its arguments. Don't return the value of a single row, such as the largest error: scores are committed to
Git. An error in the function is reported without its message, which may hold a private value. To see the message, call
the function on rows of data/split/valid.parquet.

`lowest` and `highest` are the bounds of the score, which its interval doesn't cross; a bound that is left out is
infinite. The metrics are scored for the model, the baselines, the slices, the resamples and the refits, and the report
compares them. To let one of them decide, name it in `gate.metric` in params.yaml, and name in
`gate.smallest_difference` the smallest difference that matters.

A module of this project that is imported here must be among the `deps` of `evaluate` in dvc.yaml.
"""

from retrace.project_metrics import ProjectMetric

METRICS: dict[str, ProjectMetric] = {}
