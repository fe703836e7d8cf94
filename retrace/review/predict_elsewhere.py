"""Predict for a table's rows with the models of the project in this folder, by the project's own code.

    python -P .../predict_elsewhere.py ROWS.parquet PREDICTIONS.parquet

It runs in a clone of the base, with the clone as PYTHONPATH. So `retrace` and `src` are those of the base, which may be
older and lack this file. PREDICTIONS.parquet gets a column for each model and class, named MODEL.CLASS, where CLASS is
the number of the class in the order of the metadata `classes`; a regression has one column for each model.
"""

import sys
from pathlib import Path

from retrace.examples import features  # before pandas: importing retrace sets environment variables that NumPy reads
from retrace.models import load_model
from retrace.params import read_params
from retrace.scores import BASELINES
from retrace.table_files import read_table, write_table

import pandas as pd  # isort: skip


def main(rows_file: Path, predictions_file: Path) -> None:
    data, rows = read_params().data, read_table(rows_file)
    table = rows[features(rows, data)]
    columns = {}
    classes: list[object] = []
    for name in ("model", *BASELINES):
        model = load_model(Path(f"models/{name}.skops"))
        if data.task == "regression":
            columns[f"{name}.0"] = model.predict(table)
        else:
            classes = model.classes_.tolist()
            for code, values in enumerate(model.predict_proba(table).T):
                columns[f"{name}.{code}"] = values
    predictions = pd.DataFrame(columns)
    predictions.attrs = {"classes": classes}
    write_table(predictions, predictions_file)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
