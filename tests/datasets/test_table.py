"""Each argument of `data.read` in params.yaml does what its description says."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from src.datasets import table


def read(file: Path, **options: Any) -> pd.DataFrame:
    return pd.concat(table.read(file, **options)["table"])


def test_a_european_csv_is_read_as_its_parameters_say(tmp_path: Path):
    file = tmp_path / "a.csv"
    file.write_bytes("größe;plz;datum\n1,5;01234;31.12.2020\n2,5;99999;01.02.2021\n".encode("latin-1"))
    how = {"separator": ";", "decimal": ",", "encoding": "latin-1", "types": {"plz": "text", "datum": "%d.%m.%Y"}}
    frame = read(file, **how)
    assert frame["größe"].tolist() == [1.5, 2.5]
    assert frame["plz"].tolist() == ["01234", "99999"]
    assert frame["datum"].tolist() == [pd.Timestamp(2020, 12, 31), pd.Timestamp(2021, 2, 1)]


@pytest.mark.parametrize("suffix", ["csv", "jsonl"])
def test_each_date_has_its_own_format(tmp_path: Path, suffix: str):
    file, frame = tmp_path / f"a.{suffix}", pd.DataFrame({"a": ["03/04/2020"], "b": ["03/04/2020"]})
    frame.to_csv(file, index=False) if suffix == "csv" else frame.to_json(file, orient="records", lines=True)
    back = read(file, types={"a": "%d/%m/%Y", "b": "%m/%d/%Y"})
    assert back.iloc[0].tolist() == [pd.Timestamp(2020, 4, 3), pd.Timestamp(2020, 3, 4)]
    with pytest.raises(SystemExit, match="column a, row 1 of the data: not a date as %Y") as error:
        read(file, types={"a": "%Y"})
    assert "03/04" not in str(error.value)


def test_the_other_arguments_tell_what_belongs_to_the_table(tmp_path: Path):
    file = tmp_path / "a.csv"
    file.write_text("Sales,\n\n a , b\n x ,-999\n y,5\n  ,6\n\nTotal,11\nsource: us\n\n")
    raw = read(file, skip_rows=1, skip_footer=2, strip=True, missing=[-999])
    pd.testing.assert_frame_equal(raw, pd.DataFrame({"a": ["x", "y", None], "b": [None, 5.0, 6.0]}))


def test_missing_values_are_compared_as_text_and_as_numbers(tmp_path: Path):
    frame = pd.DataFrame({"a": [-999.0, 1.5], "b": ["-999", "x"], "c": [-999, 2]})
    for suffix in ("parquet", "csv"):
        frame.to_parquet(tmp_path / "a.parquet") if suffix == "parquet" else frame.to_csv(
            tmp_path / "a.csv", index=False
        )
        assert read(tmp_path / f"a.{suffix}", missing=["-999"]).isna().to_numpy().tolist() == [[True] * 3, [False] * 3]


def test_thousands_and_decimal_sign_must_differ(tmp_path: Path):
    with pytest.raises(SystemExit, match=r"data.read.thousands: must differ from data.read.decimal"):
        read(tmp_path / "a.csv", thousands=".")


def test_a_nul_character_in_the_header_is_one_line(tmp_path: Path):
    file = tmp_path / "a.csv"
    file.write_bytes(b"a\0b,c\n1,1\n2,2\n")
    with pytest.raises(SystemExit, match="the header holds a NUL character"):
        read(file)
