"""Text and numbers as dates; an offset from UTC is dropped, so that a time is the one that the clock showed."""

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

ISO_DATE = r"^\s*\d{4}-\d\d-\d\d(?:[ T]\d\d:\d\d|\s*$)"
OFFSET = r"(?P<time>:\d\d(?:[.,]\d+)?(?: ?[AaPp][Mm])?)\s*(?P<offset>Z|UTC|GMT|[+-]\d\d(?::?\d\d)?)$"


def clock_time(text: pa.ChunkedArray) -> pa.ChunkedArray:
    """Text in ISO 8601 as times, without the offset from UTC; a fraction of a second is cut to microseconds."""
    plain = pc.replace_substring_regex(text.cast(pa.string()), OFFSET, r"\1")
    return pc.replace_substring_regex(plain, r"(\.\d{6})\d+$", r"\1").cast(pa.timestamp("us"))


def iso_dates(text: pa.ChunkedArray) -> pa.ChunkedArray:
    """Text in ISO 8601 as dates, null where a cell is not in this form."""
    return clock_time(pc.if_else(pc.match_substring_regex(text.cast(pa.string()), ISO_DATE), text, None))


def dates_of(text: pa.ChunkedArray, date_format: str) -> pa.ChunkedArray:
    """Text as dates of a format, null where a cell is not in it; an offset from UTC (`%z`) is left out."""
    if date_format.endswith("%z"):
        text = pc.replace_substring_regex(text, OFFSET, r"\1")
        date_format = date_format.removesuffix("%z").rstrip()
    dates = pd.to_datetime(text.to_pandas(), format=date_format, errors="coerce")
    return pa.chunked_array([pa.Array.from_pandas(dates.astype("datetime64[us]"))])


def excel_dates(days: pa.ChunkedArray) -> pa.ChunkedArray:
    """Days since 1899-12-30, as spreadsheets store dates, as dates to the second."""
    seconds = pc.round(pc.multiply(pc.subtract(days, 25569.0), 86400.0)).cast(pa.int64())
    return seconds.cast(pa.timestamp("s")).cast(pa.timestamp("us"))
