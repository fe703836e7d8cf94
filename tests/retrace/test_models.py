"""Model files: the same bytes for the same model, and nothing loaded that isn't trusted."""

import re
import zipfile
from pathlib import Path

import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.preprocessing import FunctionTransformer
from skops.io import dump

from retrace.models import load_model, save_model
from tests.conftest import ROOT

X = np.random.default_rng(0).normal(size=(300, 4))
Y = (X[:, 0] + X[:, 1] > 0).astype(int)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "model.skops"
    save_model(HistGradientBoostingClassifier(max_iter=5, random_state=0).fit(X, Y), path)
    return path


@pytest.mark.parametrize("estimator", [HistGradientBoostingClassifier, RandomForestClassifier])
def test_the_same_fit_is_the_same_file_and_predicts_the_same(tmp_path: Path, estimator):
    models = [estimator(random_state=0).fit(X, Y) for _ in range(2)]
    junk = [object() for _ in range(1000)]  # moves the identities of what comes next
    for name, model in zip("ab", models, strict=True):
        save_model(model, tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes(), len(junk)
    np.testing.assert_array_equal(load_model(tmp_path / "a").predict_proba(X), models[0].predict_proba(X))


def test_a_file_that_is_gone_is_one_line(tmp_path: Path):
    with pytest.raises(SystemExit, match="no such file"):
        load_model(tmp_path / "model.skops")


@pytest.mark.parametrize("keep", [0, 10, 0.5, 0.99])
def test_a_truncated_file_is_one_line(file: Path, keep: float):
    content = file.read_bytes()
    file.write_bytes(content[: int(keep if keep >= 1 else keep * len(content))])
    with pytest.raises(SystemExit, match="damaged or incomplete model file"):
        load_model(file)


def test_a_tampered_file_is_one_line(file: Path):
    content = bytearray(file.read_bytes())
    content[len(content) // 3] ^= 255
    file.write_bytes(content)
    with pytest.raises(SystemExit, match="damaged or incomplete model file"):
        load_model(file)


def test_a_schema_without_its_members_is_one_line(file: Path):
    schema = zipfile.ZipFile(file).read("schema.json")
    with zipfile.ZipFile(file, "w") as other:
        other.writestr("schema.json", schema)
    with pytest.raises(SystemExit, match="damaged or incomplete model file"):
        load_model(file)


def test_a_type_that_is_not_trusted_is_refused_and_named(tmp_path: Path):
    dump(FunctionTransformer(func=Path.unlink), tmp_path / "model.skops")
    with pytest.raises(SystemExit, match=r"holds .*unlink.*, which isn't trusted"):
        load_model(tmp_path / "model.skops")


def test_no_module_uses_pickle():
    """joblib may run functions side by side, but neither write nor read a file."""
    pickles = re.compile(
        r"(import|from) (pickle|cloudpickle|dill)|import joblib"
        r"|from joblib import (?!((Parallel|delayed|parallel_config)(, |\n))+)"
        r"|to_pickle|read_pickle"
    )
    for module in [*(ROOT / "src").rglob("*.py"), *(ROOT / "retrace").rglob("*.py")]:
        assert not pickles.search(module.read_text()), module
