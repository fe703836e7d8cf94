"""Numbers as people write them: with thousands separators, units, currencies and every way to mark a negative one."""

import re
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

GROUPING = {" ": "[ \u00a0\u2009\u202f]", "'": "['\u2019]"}  # how each of these thousands separators is written
MINUS = "[-\u2212\u2013]"
CURRENCY = r"(?:\p{L}{0,3}\p{Sc}|[A-Z]{3}|Rs\.?|[Kk]r\.?|Fr\.?)"
LETTER = r"[\p{L}%\x{2030}\x{00b0}\p{Sc}\x{00b2}\x{00b3}/.\x{00b7}]"
UNIT = rf"(?:[\p{{L}}%\x{{2030}}\x{{00b0}}\p{{Sc}}]{LETTER}*[23]?(?: [\p{{L}}/]{LETTER}*[23]?)*)"  # kg, km/h, m2, sq ft


class Numbers(NamedTuple):
    """Cells as numbers, and the unit or currency of each.

    Attributes:
        values: null where a cell is not a number.
        units: in lowercase; null where a cell has no unit.
    """

    values: pa.ChunkedArray
    units: pa.ChunkedArray


def figure_pattern(decimal: str, thousands: str | None) -> str:
    """The pattern of a figure without a sign.

    Groups of digits have three digits, or two as in India; the last group has three.
    """
    point = re.escape(decimal)
    figure = rf"\d+(?:{point}\d+)?|{point}\d+"
    if thousands:
        group = GROUPING.get(thousands, re.escape(thousands))
        figure = rf"\d{{1,3}}(?:{group}\d{{2,3}})*{group}\d{{3}}(?:{point}\d+)?|{figure}"
    return figure


def number_pattern(figure: str) -> str:
    """The pattern of a number around the pattern of its figure: with a unit, a currency and a sign in any place."""
    return (
        rf"^\s*(?P<first>{CURRENCY})?\s*(?P<open>\()?\s*(?P<sign>\+|{MINUS})?\s*(?P<before>{CURRENCY})?\s*"
        rf"(?P<inner>{MINUS})?(?P<figure>{figure})(?P<exponent>[eE][+-]?\d+)?(?P<end>[.,][-\x{{2013}}\x{{2014}}]*)?\s*"
        rf"(?P<after>{UNIT})?\s*(?P<trailing>{MINUS})?(?P<close>\))?\s*(?P<last>{UNIT})?\s*$"
    )


def numbers_of(text: pa.ChunkedArray, decimal: str, thousands: str | None) -> Numbers:
    """Text as numbers, with the unit of each.

    Args:
        text: the cells.
        decimal: the decimal sign.
        thousands: the sign between groups of digits, if there is one.
    """
    found = pc.extract_regex(text, number_pattern(figure_pattern(decimal, thousands)))
    if isinstance(found, pa.ChunkedArray):
        found = found.combine_chunks()

    def part(name: str) -> Any:
        return pc.struct_field(found, name)

    plain = part("figure")
    if thousands:
        plain = pc.replace_substring_regex(plain, GROUPING.get(thousands, re.escape(thousands)), "")
    plain = pc.binary_join_element_wise(pc.replace_substring(plain, decimal, "."), part("exponent"), "")
    has_opening, has_closing = pc.equal(part("open"), "("), pc.equal(part("close"), ")")
    # A sign at the end, as in 5.- or 5., follows a whole number: 01.03. is a day.
    ends_twice = pc.and_(pc.not_equal(part("end"), ""), pc.match_substring(part("figure"), decimal))
    is_number = pc.and_(pc.equal(has_opening, has_closing), pc.invert(ends_twice))
    values = pc.if_else(is_number, plain, None).cast(pa.float64())
    is_negative = pc.fill_null(has_opening, False)
    for name in ("sign", "inner", "trailing"):
        has_minus = pc.fill_null(pc.match_substring_regex(part(name), MINUS), False)
        is_negative = pc.xor(is_negative, has_minus)
    values = pc.if_else(is_negative, pc.negate(values), values)
    units = pc.binary_join_element_wise(part("first"), part("before"), part("after"), part("last"), "")
    units = pc.utf8_lower(pc.utf8_rtrim(units, "."))
    units = pc.if_else(pc.equal(units, ""), None, units)
    return Numbers(pa.chunked_array([values]), pa.chunked_array([units]))
