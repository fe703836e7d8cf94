"""A column whose type is named holds numbers or dates in any of their forms, or the first other cell is named."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from src.datasets import table


def read(file: Path, **options: Any) -> pd.DataFrame:
    return pd.concat(table.read(file, **options)["table"])


def test_a_day_that_no_month_has_is_not_a_date(tmp_path: Path):
    (tmp_path / "a.csv").write_text("a\n28.02.2020\n31.02.2020\n")
    with pytest.raises(SystemExit, match=r"column a, row 2 of the data: not a date as %d.%m.%Y"):
        read(tmp_path / "a.csv", types={"a": "%d.%m.%Y"})


def test_a_cell_that_is_not_of_its_columns_type_is_named_by_its_row(tmp_path: Path):
    (tmp_path / "a.csv").write_text("a,b\n1,secret\n")
    with pytest.raises(SystemExit, match=r"column b, row 1 of the data: not a number") as error:
        read(tmp_path / "a.csv", types={"b": "number"})
    assert "secret" not in str(error.value)


@pytest.mark.parametrize(
    ("cells", "how", "values"),
    [
        (["1,234.5", "-7"], {"thousands": ","}, [1234.5, -7]),
        (["1.234,5 €", "(7 €)"], {"thousands": ".", "decimal": ","}, [1234.5, -7]),
        (["1\u202f234", "5 678"], {"thousands": " "}, [1234, 5678]),
        (["12 %", "0"], {}, [12, 0]),
        (["$5-", "-$6"], {}, [-5, -6]),
        (["1.5e3", ""], {}, [1500, np.nan]),
        (["100.-", "7"], {}, [100, 7]),
        (["−3", "+4"], {}, [-3, 4]),  # noqa: RUF001  # the minus sign of typesetters
    ],
)
def test_numbers_may_have_units_currencies_groups_and_signs(
    tmp_path: Path, cells: list[str], how: dict[str, Any], values: list[float]
):
    (tmp_path / "a.csv").write_text("a;b\n" + "".join(f"{cell};x\n" for cell in cells))
    found = read(tmp_path / "a.csv", separator=";", types={"a": "number"}, **how)["a"]
    assert found.tolist() == pytest.approx(values, nan_ok=True)


@pytest.mark.parametrize(
    ("cells", "line"),
    [
        (["1.5", "12,34"], "column a, row 2 of the data: not a number"),
        (["5 kg", "6 g"], "column a, row 2 of the data: a number with another unit than those before it"),
        (["5 kg", "6"], "column a, row 2 of the data: a number without the unit that others have"),
        (["5", "(6"], "column a, row 2 of the data: not a number"),
        (["1.", "01.03."], "column a, row 2 of the data: not a number"),
    ],
)
def test_a_cell_that_is_not_such_a_number_is_named_by_its_row(tmp_path: Path, cells: list[str], line: str):
    (tmp_path / "a.csv").write_text("a;b\n" + "".join(f"{cell};x\n" for cell in cells))
    with pytest.raises(SystemExit) as error:
        read(tmp_path / "a.csv", separator=";", types={"a": "number"})
    assert line in str(error.value)
    assert cells[1] not in str(error.value).removeprefix(str(tmp_path))


@pytest.mark.parametrize(("first", "second"), [("5 kg", "6 g"), ("5 kg", "6"), ("5", "6 kg")])
def test_a_unit_that_other_files_lack_is_named(tmp_path: Path, first: str, second: str):
    (tmp_path / "1.csv").write_text(f"a,b\n{first},x\n")
    (tmp_path / "2.csv").write_text(f"a,b\n0,x\n{second},x\n")
    with pytest.raises(SystemExit, match=r"2.csv: column a.* unit"):
        read(tmp_path, types={"a": "number"})
    (tmp_path / "2.csv").write_text("a,b\n0,x\n")
    assert len(read(tmp_path, types={"a": "number"})) == 2, "0 needs no unit"
