"""Dates written as text or numbers: the format that is found, or a question if two formats fit."""

import re
from datetime import datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from retrace.adopt.cells import FEW_TEXTS, HEAD, MOSTLY
from retrace.adopt.shown import Shown, option, typed, whole
from retrace.errors import UserError
from retrace.tables.dates import dates_of

FEWEST_DATES = 10  # different ones, beside which FEW_TEXTS different texts are exceptions
DATE_NAME = re.compile(r"date|datum|time|zeit|day|tag\b|fecha|when|month|monat", re.IGNORECASE)
DAY = re.compile(
    r"(?P<weekday>[A-Za-z]{3,9},? )?"
    r"(?P<first>\d{1,4}|[A-Za-z]{3,9})(?P<gap1>[-/. ]|\. )(?P<second>\d{1,2}|[A-Za-z]{3,9})"
    r"(?P<gap2>[-/. ]|\. |, )(?P<third>\d{4}|\d{1,2})"
    r"(?P<time>(?P<gap3>[T ]|, )\d{1,2}:\d\d(?P<seconds>:\d\d)?(?P<fraction>\.\d{1,6})?(?P<half> ?[AaPp][Mm])?"
    r"(?P<zone> ?(Z|UTC|GMT|[+-]\d\d:?\d\d))?)?"
)
NAME_OF_MONTH = r"(?i:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)\p{L}*\.?"
OTHER_DATES = (
    r"^(?:\d{1,3}:\d\d(?::\d\d)?(?: ?[AaPp]\.?[Mm]\.?)?|\d{4}[- ]?(?:[WwQq]|KW|[Mm])\d{1,2}|[Qq]\d[- /]\d{4}"
    r"|\d{8}[ T_-]?\d{4,6}|\d{1,2}\.? \p{L}+\.? \d{4}.*|\d{1,2}\.\d{1,2}\.|\d{1,2}h\d\d"
    r"|(?:19|20)\d\d\D{1,3}\d{1,2}\D{1,3}\d{1,2}(?:\D.*)?|\d{1,2}\D{1,3}\d{1,2}\D{1,3}(?:19|20)\d\d(?:\D.*)?"
    rf"|{NAME_OF_MONTH}[ -]\d{{1,2}}(?:\D.*)?|\d{{1,2}}\p{{L}}{{0,2}}[ -]{NAME_OF_MONTH}(?:[ -]\d{{2,4}})?"
    rf"|(?:19|20)\d\d[ -]{NAME_OF_MONTH}[ -]\d{{1,2}})$"
)  # 1:45 PM, 2020-W01, 2020Q1, 20201231 2359, 31. Dezember 2020, 31.12., 10h30, 2020-31-12, Dec 31, 31st Dec
FORMATS_BY_DIGITS = {6: "%Y%m", 8: "%Y%m%d", 12: "%Y%m%d%H%M", 14: "%Y%m%d%H%M%S"}
EXAMPLE = datetime(2020, 12, 31, 23, 59)
MONTH = re.compile(
    r"(?P<year>\d{4})(?P<gap1>[-/.])\d{1,2}|\d{1,2}(?P<gap2>[-/.])\d{4}|(?P<word>[A-Za-z]{3,9})(?P<gap3>[- ])\d{4}"
)


def date_type(
    name: str, column: pa.ChunkedArray, day_first: bool | None, shown: Shown
) -> tuple[str | None, str | None]:
    """The format of a text column that holds dates, and what is doubtful about it.

    Args:
        name: the column's name.
        column: its cells.
        day_first: whether the day comes first (true) or the month (false), if the user names it.
        shown: what of it may be shown.

    Raises:
        UserError: day and month could each come first, and give different dates.
    """
    head = pc.unique(column.slice(0, HEAD).drop_null()).to_pylist()
    candidates = list(dict.fromkeys(format_ for value in head for format_ in date_formats(value.strip())))
    if not candidates:
        return None, _other_dates(name, column, shown)
    values = pa.chunked_array([pc.unique(column.drop_null())])
    parsed = {format_: dates_of(pc.utf8_trim_whitespace(values), format_) for format_ in candidates}
    fits = {format_: dates for format_, dates in parsed.items() if not dates.null_count}
    if not fits:
        return None, _not_dates(name, column, values, parsed, shown)
    if blanks := _with_blanks(name, column, shown):
        return None, blanks
    format_ = _chosen(name, values, fits, day_first, shown)
    if "%y" not in format_:
        return format_, None
    years = pc.min_max(pc.year(fits[format_])).as_py()
    span = "" if name in shown.private else f" as {years['min']} to {years['max']}"
    told = f"years of two digits are read{span or ' as 1969 to 2068'}"
    for other, dates in fits.items():  # days range up to 31: the part with the smaller range may be the year
        if other.startswith("%y") and other != format_ and _years(dates) <= _years(fits[format_]):
            told += f"; if the year comes first: {typed(name, other)}"
    return format_, told


def _years(dates: pa.ChunkedArray) -> int:
    """How many years the dates span."""
    ends = pc.min_max(pc.year(dates)).as_py()
    return int(ends["max"] - ends["min"])


def date_in_numbers(name: str, column: pa.ChunkedArray) -> str | None:
    """What is doubtful about numbers that may be dates: 20201231, 202012, 202012312359, or a spreadsheet's days."""
    is_whole = pa.types.is_integer(column.type)
    if not (is_whole or pa.types.is_floating(column.type)) or column.null_count == len(column):
        return None
    ends = pc.min_max(column).as_py()
    digits = {len(str(end)) for end in ends.values()} if is_whole and ends["min"] < ends["max"] else set()
    format_ = FORMATS_BY_DIGITS.get(digits.pop()) if len(digits) == 1 else None
    if format_ and int(str(ends["min"])[:4]) >= 1800 and int(str(ends["max"])[:4]) < 2200:
        texts = pa.chunked_array([pc.unique(column).drop_null().cast(pa.string())])
        is_likely = len(texts) >= FEWEST_DATES or format_ != "%Y%m" or DATE_NAME.search(name)
        if is_likely and dates_of(texts, format_).null_count == 0:
            return f"may be dates such as {EXAMPLE.strftime(format_)}: {typed(name, format_)} reads them"
    if 20000 <= ends["min"] < ends["max"] <= 80000 and DATE_NAME.search(name):
        return f"may be dates as spreadsheets store them, in days: {typed(name, 'excel-date')} reads them"
    return None


def date_formats(value: str) -> list[str]:
    """The formats that a text may have as a date: none if it is not a date, two for `03/04/2020`."""
    if found := DAY.fullmatch(value):
        part = found.groupdict()
        weekday = part["weekday"] or ""
        if weekday:
            code = "%a" if len(weekday.rstrip(", ")) == 3 else "%A"
            weekday = code + weekday[len(weekday.rstrip(", ")) :]
        return [weekday + day + _time_format(part) for day in _day_formats(part)]
    if found := MONTH.fullmatch(value):
        if found["year"]:
            return [f"%Y{found['gap1']}%m"]
        return [f"{_month(found['word'])}{found['gap3']}%Y" if found["word"] else f"%m{found['gap2']}%Y"]
    return []


def _day_formats(part: dict[str, str]) -> list[str]:
    """The formats that a date's day, month and year may have.

    Args:
        part: the parts of the date, as `DAY` calls them.
    """
    first, gap1, second, gap2 = part["first"], part["gap1"], part["second"], part["gap2"]
    year = "%Y" if len(part["third"]) == 4 else "%y"
    if second.isalpha():
        return [] if first.isalpha() or len(first) > 2 else [f"%d{gap1}{_month(second)}{gap2}{year}"]
    if first.isalpha():
        return [f"{_month(first)}{gap1}%d{gap2}{year}"]
    if len(first) == 4:
        return [f"%Y{gap1}%m{gap2}%d"] if year == "%y" else []
    if len(first) == 3:
        return []
    formats = [f"%d{gap1}%m{gap2}{year}", f"%m{gap1}%d{gap2}{year}"]
    if year == "%y":
        formats.append(f"%y{gap1}%m{gap2}%d")
    return formats


def _month(word: str) -> str:
    return "%b" if len(word) == 3 else "%B"


def _time_format(part: dict[str, Any]) -> str:
    """The format of a date's time, with what separates it from the day."""
    if not part["time"]:
        return ""
    text = f"{part['gap3']}{'%I' if part['half'] else '%H'}:%M"
    text += ":%S" if part["seconds"] else ""
    text += ".%f" if part["fraction"] else ""
    text += part["half"][:-2] + "%p" if part["half"] else ""
    if part["zone"]:
        text += " %z" if part["zone"].startswith(" ") else "%z"
    return text


def _chosen(
    name: str, values: pa.ChunkedArray, fits: dict[str, pa.ChunkedArray], day_first: bool | None, shown: Shown
) -> str:
    """Which of the formats that fit is meant.

    It is the one that the user asks for, that with the day first if dots separate the parts, or any if all give the
    same dates.
    """
    by_start = {re.sub(r"^%[aA],? ", "", format_)[:2]: format_ for format_ in reversed(fits)}
    if day_first is not None and (asked_for := by_start.get("%d" if day_first else "%m")):
        return asked_for
    first, *others = fits
    if all(fits[other].equals(fits[first]) for other in others):
        return first
    if (day := by_start.get("%d")) and re.search(r"%d\.", day):  # 1.2.2020 is 1 February
        return day
    options = ["--dayfirst"] if "%d" in by_start else []
    options += ["--monthfirst"] if "%m" in by_start else []
    options += [typed(name, by_start["%y"])] if "%y" in by_start else []
    example = "its dates" if name in shown.private else f"{values[0].as_py()} and other dates"
    raise UserError(f"column {name}: {example} can be read in {len(by_start)} ways; {' or '.join(options)} decides")


def _with_blanks(name: str, column: pa.ChunkedArray, shown: Shown) -> str | None:
    """What is doubtful about dates of which some have blanks around them, which no format allows."""
    found = column.filter(pc.not_equal(pc.utf8_trim_whitespace(column), column))
    if not len(found):
        return None
    return f"dates with blanks around some, such as {shown.cell(name, found[0].as_py(), column)}: --strip removes these"


def _other_dates(name: str, column: pa.ChunkedArray, shown: Shown) -> str | None:
    """What is doubtful about texts that look like dates or times in a form that is not read."""
    head = column.slice(0, HEAD).drop_null()
    found = pc.match_substring_regex(head, OTHER_DATES)
    if not len(head) or (pc.sum(found).as_py() or 0) < MOSTLY * len(head):
        return None
    first = shown.cell(name, head[0].as_py(), column)
    forms = "write them as 2020-12-31 or 23:59:00, and durations as a number of hours"
    return f"dates or times in a form that is not read, such as {first}: {forms}"


def _not_dates(
    name: str, column: pa.ChunkedArray, values: pa.ChunkedArray, parsed: dict[str, pa.ChunkedArray], shown: Shown
) -> str | None:
    """Which cell of a column of dates is not a date, if most are, or all but a few different ones.

    Args:
        name: the column's name.
        column: its cells.
        values: its different values.
        parsed: these as dates, by each format that some of them have.
        shown: what of it may be shown.
    """
    in_any_format = pc.coalesce(*parsed.values())
    others = values.filter(pc.is_null(in_any_format))
    count = pc.sum(pc.is_in(column, whole(others))).as_py() or 0
    are_few = len(others) <= FEW_TEXTS and len(values) - len(others) >= FEWEST_DATES
    if count > (1 - MOSTLY) * (len(column) - column.null_count) and not are_few:
        return _other_dates(name, column, shown)
    format_ = min(parsed, key=lambda one: parsed[one].null_count)
    value = others[0].as_py() if len(others) else values.filter(pc.is_null(parsed[format_]))[0].as_py()
    what = f"dates, but {shown.cell(name, value, column)} is not written as {format_}"
    missing = option("--missing", "VALUE" if name in shown.private else value)
    advice = f"correct it, or {missing} if it means no value" if len(others) else "write them alike"
    return f"{what}, so the column is read as text: {advice}"
