"""The decimal sign and the thousands separator are those that the cells prove, or the user is asked."""

from pathlib import Path

import pytest

from retrace.adopt.command import parse
from tests.retrace.adopt.small_tables import refusal, understood, written

THOUSANDS = [566, 603, 640, 677, 714, 751, 788, 825, 862, 899, 936, 973, 1010, 1047, 1084, 2675]


@pytest.mark.parametrize(("separator", "sign"), [("\t", ","), (";", ","), (";", "."), ("\t", ".")])
def test_thousands_from_1000_on_are_read_as_thousands_with_a_warning(tmp_path: Path, separator: str, sign: str):
    cells = [f"{number:,}".replace(",", sign) for number in THOUSANDS]
    raw, how, warned = understood(written(tmp_path, separator, x=cells, y=["0", "1"]))
    assert raw["x"].tolist()[:16] == THOUSANDS
    assert how["types"] == {"x": "number"}
    assert warned == [f"x: 1{sign}010 is read as 1010; if {sign} is the decimal sign: --decimal {sign}"]
    raw, _, warned = understood(written(tmp_path, separator, x=cells, y=["0", "1"]), "--decimal", sign)
    assert raw["x"].tolist()[12] == 1.01
    assert warned == []


@pytest.mark.parametrize(
    ("cells", "others", "numbers"),
    [
        (["1,234,567", "1,000"], [], [1234567, 1000]),
        (["1.234.567", "1.000"], [], [1234567, 1000]),
        (["1,234.5", "950"], [], [1234.5, 950]),
        (["1.234,5", "950"], [], [1234.5, 950]),
        (["1,234", "2,345"], ["1.5", "2.25"], [1234, 2345]),
        (["1.234", "2.345"], ["1,5", "2,25"], [1234, 2345]),
        (["1.234", "2.345"], ["1.5", "2.25"], [1.234, 2.345]),
        (["1,234", "2,345"], ["1,5", "2,25"], [1.234, 2.345]),
        (["0,125", "1,250"], [], [0.125, 1.25]),
        (["0.125", "1.250"], [], [0.125, 1.25]),
        (["1234,125", "1,250"], [], [1234.125, 1.25]),
        (["1,5e3", "2,25E-2"], [], [1500, 0.0225]),
        (["1,23,456", "12,34,567.5"], [], [123456, 1234567.5]),
        (["1'234.50", "987"], [], [1234.5, 987]),
        (["1’234’567", "987"], [], [1234567, 987]),  # noqa: RUF001  # as Swiss programs write it
        (["1 234 567", "-3"], [], [1234567, -3]),
        (["1\u00a0234,5", "12\u202f345,25"], [], [1234.5, 12345.25]),
        (["-1,234.5", "+2,345.5"], [], [-1234.5, 2345.5]),
    ],
)
def test_figures_are_read_as_they_are_meant(tmp_path: Path, cells: list[str], others: list[str], numbers: list[float]):
    file = written(tmp_path, ";", x=cells, other=others or ["a"], y=["0", "1"])
    raw, _, warned = understood(file)
    assert raw["x"].tolist()[: len(numbers)] == numbers
    assert [line for line in warned if not line.startswith("x: 1")] == []


def test_a_cell_far_down_decides_too(tmp_path: Path):
    cells = ["1.234"] * 3000 + ["1.5"]
    file = tmp_path / "a.csv"
    file.write_text("x;y\n" + "".join(f"{cell};1\n" for cell in cells))
    assert understood(file)[0]["x"].iloc[0] == 1.234


@pytest.mark.parametrize("sign", [",", "."])
def test_the_user_decides_if_both_readings_fit(tmp_path: Path, sign: str):
    file = written(tmp_path, ";", x=[f"1{sign}234", f"2{sign}345"], y=["0", "1"])
    options = f"--thousands {sign} or --decimal {sign} decides"
    assert refusal(file) == f"column x: 1{sign}234 may be 1234 or 1.234; {options}"
    assert (
        refusal(file, "--private", "x") == f"column x: {sign} may separate thousands or be the decimal sign; {options}"
    )
    assert understood(file, "--thousands", sign)[0]["x"].tolist()[:2] == [1234, 2345]
    assert understood(file, "--decimal", sign)[0]["x"].tolist()[:2] == [1.234, 2.345]
    assert understood(file, decimal=",")[0]["x"].iloc[0] == (1.234 if sign == "," else 1234), "as params.yaml has it"
    assert understood(file, "--drop", "x")[1].get("thousands") is None, "what is left out need not be read"
    assert understood(file, "--type", "x=text")[0]["x"].iloc[0] == f"1{sign}234"


@pytest.mark.parametrize("word", ["--decimal=5", "--decimal=-", "--thousands=a", '--thousands="', "--decimal=\t"])
def test_a_sign_that_cannot_be_in_numbers_is_refused(word: str, capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit):
        parse(["a.csv", "--target", "y", word])
    assert "not one separator such as . or ," in capsys.readouterr().err
