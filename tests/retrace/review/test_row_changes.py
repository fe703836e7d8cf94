"""Which rows differ between two revisions, by their ids."""

from pathlib import Path

import pandas as pd
import pytest

from retrace.review import row_changes
from retrace.review.pipeline import read_stages
from retrace.review.revision import FOLDER, Revision
from tests.conftest import check


def test_rows_are_distinguished_by_their_ids(copy_of, weather: Path, monkeypatch: pytest.MonkeyPatch):
    project = copy_of(weather)
    table = pd.read_csv(project / "data/source/weather.csv")
    known = len(table["temp"].dropna())
    new = table.iloc[-2:].assign(time_hour="2014-01-01T00:00:00Z")
    table = pd.concat([table.iloc[10:-2], table.iloc[-2:].assign(humid=40.5), new])
    table.to_csv(project / "data/source/weather.csv", index=False)
    monkeypatch.chdir(project)
    assert row_changes.same_split(read_stages(FOLDER), read_stages(Revision.of("HEAD")))
    check("dvc", "repro", "split", "--force", cwd=project)
    assert not row_changes.same_split(read_stages(FOLDER), read_stages(Revision.of("HEAD")))
    assert row_changes.compare_rows(FOLDER, Revision.of("HEAD")) == (known, known - 8, 2, 10, 2, 2)
    assert row_changes.count_moved_rows(FOLDER, Revision.of("HEAD")) == (known - 10, 0)
    check("rm", "-r", ".dvc/cache", cwd=project)
    assert row_changes.compare_rows(FOLDER, Revision.of("HEAD")) is None
    assert row_changes.count_moved_rows(FOLDER, Revision.of("HEAD")) is None
