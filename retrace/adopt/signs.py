"""Which sign is the decimal one in a table's numbers, and which one separates thousands.

What the cells prove is decided here. Where they allow two readings, adopt refuses and names the options that decide.
"""

import re
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from retrace.adopt.cells import HEAD, OTHER, Cells, figures_of, has_match, number_text
from retrace.adopt.shown import Shown, option, whole
from retrace.errors import UserError
from retrace.tables.numbers import GROUPING

ANY_GROUP = "[ '\u00a0\u2009\u202f\u2019]"


class Signs(NamedTuple):
    """The signs in a table's numbers.

    Attributes:
        decimal: the decimal sign.
        thousands: the thousands separator, if there is one.
        doubts: by column, what the user is told where the column alone would allow another reading.
    """

    decimal: str
    thousands: str | None
    doubts: dict[str, list[str]]


class _Evidence(NamedTuple):
    """What the figures of each column tell about a comma and a point, by this sign.

    Attributes:
        figures: the different figures of each column.
        either: the columns with figures such as 1,234, in which the sign may be either.
        decimals: the columns in which it can only be the decimal sign.
        groups: the columns in which it can only separate thousands.
    """

    figures: dict[str, pa.Array]
    either: dict[str, list[str]]
    decimals: dict[str, list[str]]
    groups: dict[str, list[str]]


def signs_of(cells: Cells, separator: str, decimal: str | None, kept: str | None) -> Signs:
    """The signs that the figures of a table prove.

    Args:
        cells: read with `decimal`, or a point, as the decimal sign.
        separator: the delimiter between cells.
        decimal: the decimal sign, if the user names it.
        kept: the one in params.yaml, which decides where the cells allow two readings.

    Raises:
        UserError: two readings fit.
    """
    table, written, shown = cells
    figures = {}
    for name in table.column_names:
        if text := number_text(table.column(name)):
            figures[name] = pc.unique(text.figures.drop_null())
    floats = [field.name for field in table.schema if pa.types.is_floating(field.type)] if written is not None else []
    point_is_proved = decimal is None and _proves_a_point(written, floats)
    if written is not None and decimal is None and not point_is_proved:
        figures |= {name: pc.unique(figures_of(whole(written.column(name))).drop_null()) for name in floats}
    evidence = _evidence(figures)
    sign = decimal or _proved_decimal(evidence, len(floats) if point_is_proved else 0, separator)
    sign = sign or kept or _decimal_by_size(evidence)
    if sign is None and (unsure := evidence.either[","] + evidence.either["."]):
        raise UserError(_question(unsure[0], figures[unsure[0]], shown))
    sign = sign or "."
    other = OTHER.get(sign, ",")
    doubts = {}
    for name in evidence.either[other] if decimal is None else []:
        if name not in evidence.groups[other]:
            doubts[name] = [_reading(name, figures[name], other, shown)]
    return Signs(sign, _thousands_separator(evidence, other), doubts)


def _evidence(figures: dict[str, pa.Array]) -> _Evidence:
    def matching(pattern: str) -> list[str]:
        return [name for name, found in figures.items() if has_match(found, pattern)]

    return _Evidence(
        figures,
        {sign: matching(_either_pattern(sign)) for sign in OTHER},
        {sign: matching(_decimal_pattern(sign)) for sign in OTHER},
        {sign: matching(_thousands_pattern(sign)) for sign in OTHER},
    )


def _proves_a_point(written: pa.Table | None, floats: list[str]) -> bool:
    """Whether a column that was read as numbers with a point proves that the point is the decimal sign."""
    if written is None:
        return True
    heads = (whole(written.column(name).slice(0, HEAD)) for name in floats)
    if any(has_match(figures_of(cells), _decimal_pattern(".")) for cells in heads):  # mostly enough, and fast
        return True
    return any(has_match(figures_of(whole(written.column(name))), _decimal_pattern(".")) for name in floats)


def _proved_decimal(evidence: _Evidence, proved_points: int, separator: str) -> str | None:
    """The decimal sign that the figures prove, by most columns.

    Args:
        evidence: what the figures tell.
        proved_points: how many more columns were read as numbers with a point.
        separator: the delimiter between cells: with a semicolon, a comma is the likelier of equals.
    """
    points, commas = len(evidence.decimals["."]) + proved_points, len(evidence.decimals[","])
    if points or commas:
        return "," if commas > points or (commas == points and separator == ";") else "."
    if evidence.groups[","]:
        return "."
    return "," if evidence.groups["."] else None


def _decimal_by_size(evidence: _Evidence) -> str | None:
    """The decimal sign, if all columns that have the other one look like thousands."""
    for sign, names in evidence.either.items():
        if names and all(_thousands_from_1000(evidence.figures[name], sign) for name in names):
            return OTHER[sign]
    return None


def _thousands_from_1000(figures: pa.Array, sign: str) -> bool:
    """Whether figures without the sign end at 999, and one with it ends in 0, which no decimal fraction would keep."""
    plain = figures.filter(pc.match_substring_regex(figures, r"^\d+$"))
    ends_in_zero = has_match(figures, rf"^[1-9]\d{{0,2}}{re.escape(sign)}\d\d0$")
    return len(plain) > 0 and not has_match(plain, r"\d{4}") and ends_in_zero


def _thousands_separator(evidence: _Evidence, other: str) -> str | None:
    """The sign between groups of digits: `other`, which is not the decimal sign, a blank or an apostrophe."""
    if evidence.groups[other] or evidence.either[other]:
        return other
    for sign, group in GROUPING.items():
        if _separates_groups(evidence.figures, group, sign):
            return sign
    return None


def _separates_groups(figures: dict[str, pa.Array], group: str, sign: str) -> bool:
    """Whether a blank or an apostrophe separates thousands; blanks in figures of one length may be phone numbers."""
    for found in figures.values():
        grouped = has_match(found, rf"^\d{{1,3}}(?:{group}\d{{3}})+(?:[.,]\d+)?$")
        if grouped and (sign == "'" or len(pc.unique(pc.utf8_length(found))) > 1):
            return True
    return False


def _either_pattern(sign: str) -> str:
    """The pattern of figures in which a sign may be the decimal sign or separate thousands."""
    return rf"^[1-9]\d{{0,2}}{re.escape(sign)}\d{{3}}$"


def _decimal_pattern(sign: str) -> str:
    """The pattern of figures in which a sign can only be the decimal sign."""
    point, other = re.escape(sign), re.escape(OTHER[sign])
    after_groups = rf"(?:{other}|{ANY_GROUP})\d{{3}}{point}\d+$"
    not_three = rf"^\d*{point}(?:\d{{1,2}}|\d{{4,}})$"
    return rf"{not_three}|^0\d*{point}\d+$|^{point}\d+$|^\d{{4,}}{point}\d+$|{after_groups}"


def _thousands_pattern(sign: str) -> str:
    """The pattern of figures in which a sign can only separate thousands."""
    group, other = re.escape(sign), re.escape(OTHER[sign])
    return rf"^\d{{1,3}}(?:{group}\d{{2,3}})+{group}\d{{3}}(?:{other}\d+)?$|^\d{{1,3}}{group}\d{{3}}{other}\d+$"


def _example(figures: pa.Array, sign: str) -> str:
    return str(figures.filter(pc.match_substring_regex(figures, _either_pattern(sign)))[0])


def _question(name: str, figures: pa.Array, shown: Shown) -> str:
    """That two readings of a column fit, and which options decide."""
    sign = "," if has_match(figures, ",") else "."
    decides = f"{option('--thousands', sign)} or {option('--decimal', sign)} decides"
    if name in shown.private:
        return f"column {name}: {sign} may separate thousands or be the decimal sign; {decides}"
    value = _example(figures, sign)
    return f"column {name}: {value} may be {value.replace(sign, '')} or {value.replace(sign, '.')}; {decides}"


def _reading(name: str, figures: pa.Array, sign: str, shown: Shown) -> str:
    """How a column is read that alone would allow another reading, and which option gives that one."""
    other = f"if {sign} is the decimal sign: {option('--decimal', sign)}"
    if name in shown.private:
        return f"{sign} is read as a thousands separator; {other}"
    value = _example(figures, sign)
    return f"{value} is read as {value.replace(sign, '')}; {other}"
