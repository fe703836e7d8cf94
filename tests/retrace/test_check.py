"""`python -m retrace check` refuses what no stage could use, before any stage runs."""

from pathlib import Path

import pytest

from retrace.check import check
from tests.conftest import ROOT


def test_valid_parameters_are_called_so(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    monkeypatch.chdir(ROOT)
    check([])
    assert capsys.readouterr().out == "params.yaml is valid\n"


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ("metric: roc_auc", "metric: log_lss", "params.yaml: gate: smallest_difference must name the metric log_lss"),
        ("roc_auc", "roc_acu", "params.yaml: gate.metric: must be one of roc_auc, average_precision, log_loss"),
        ("    brier:", "    brir:", "params.yaml: gate.smallest_difference.brir: must be one of roc_auc"),
    ],
)
def test_a_metric_that_nobody_knows_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, old: str, new: str, line: str
):
    text = (ROOT / "params.yaml").read_text()
    assert old in text
    (tmp_path / "params.yaml").write_text(text.replace(old, new))
    (tmp_path / "src/datasets").mkdir(parents=True)
    (tmp_path / "src/datasets/flights.py").touch()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as error:
        check([])
    assert str(error.value).startswith(line)
    assert "\n" not in str(error.value)
