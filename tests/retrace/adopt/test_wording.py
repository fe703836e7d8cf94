"""Mistakes in what the stages and adopt share name the key of params.yaml in a stage, and the option in adopt."""

import pytest

from retrace.adopt.wording import OPTIONS, options_named, options_of
from retrace.errors import PARAMETER, ParameterError
from retrace.params import Data
from tests.conftest import ROLES


def worded(error: ParameterError, columns: tuple[str, ...] = ()) -> str:
    """The line that adopt prints for an error of a stage."""
    with pytest.raises(SystemExit) as found, options_named(columns):
        raise error
    return str(found.value)


@pytest.mark.parametrize(("key", "option"), OPTIONS.items())
def test_the_option_takes_the_place_of_the_key(key: str, option: str):
    error = ParameterError(f"a.csv: no column x ({PARAMETER})", key)
    assert str(error) == f"a.csv: no column x ({key})"
    assert worded(error) == f"a.csv: no column x ({option})"


def test_a_parameter_without_an_option_is_called_by_its_key():
    error = ParameterError(f"a.csv: too wide; see {PARAMETER}", "data.read.separator")
    assert worded(error) == "a.csv: too wide; see data.read.separator in params.yaml"


def test_a_value_is_given_as_a_shell_takes_it():
    error = ParameterError(f"column y: not classes; set {PARAMETER}", "data.task", value="regression")
    assert worded(error) == "column y: not classes; set --task regression"
    error = ParameterError(f"column a b: infinite; {PARAMETER}", "data.drop", value=["a b"])
    assert worded(error, ("a b",)) == "column a b: infinite; --drop 'a b'"


def test_a_feature_that_is_made_of_a_date_is_left_out_by_the_dates_name():
    error = ParameterError(f"leave it out: {PARAMETER}", "data.drop", value=["sold (month)"])
    assert worded(error, ("sold",)) == "leave it out: --drop sold"


def test_the_options_of_a_project_are_those_that_give_its_parameters():
    roles = {"target": "y", "task": "regression", "source": "data/source/x.csv", "time": "t", "drop": ["a", "b"]}
    read = {"strip": True, "missing": [-1], "skip_footer": 2}
    data = Data.model_validate(ROLES | roles | {"read": read})
    assert options_of(data) == ["--strip", "--time t", "--drop a", "--drop b", "--missing=-1", "--skip-footer 2"]
