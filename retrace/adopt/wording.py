"""Errors that name a parameter, worded for someone who types options."""

from collections.abc import Container, Iterator
from contextlib import contextmanager

from retrace.adopt.shown import drop_option, option
from retrace.errors import ParameterError, UserError, Value
from retrace.params import Data

OPTIONS = {  # the option that sets each parameter
    "data.target": "--target",
    "data.task": "--task",
    "data.id": "--id",
    "data.time": "--time",
    "data.group": "--group",
    "data.weight": "--weight",
    "data.drop": "--drop",
    "data.read.types": "--type",
    "data.read.encoding": "--encoding",
    "data.read.skip_rows": "--skip-rows",
    "data.read.skip_footer": "--skip-footer",
}


@contextmanager
def options_named(columns: Container[str] = ()) -> Iterator[None]:
    """Name the option in place of the key of params.yaml, in the errors of what the stages and adopt share.

    Args:
        columns: the names of the table's columns, which tell a column from a feature that is made of a date.
    """

    def name_of(key: str, value: Value) -> str:
        if key not in OPTIONS:
            return f"{key} in params.yaml"
        if value is None:
            return OPTIONS[key]
        return drop_option(value[0], columns) if isinstance(value, list) else option(OPTIONS[key], value)

    try:
        yield
    except ParameterError as error:
        raise UserError(error.worded(name_of)) from None


def options_of(data: Data) -> list[str]:
    """The options that give the section `data` of params.yaml; `data.set`, which has no option, as its key."""
    found = [f"data.set: {data.set}"] if data.set != "table" else []
    found += ["--strip"] if data.read.get("strip") else []
    single = {"--time": data.time, "--group": data.group, "--id": data.id, "--weight": data.weight}
    found += [option(name, column) for name, column in single.items() if column is not None]
    repeated = {"--drop": data.drop, "--private": data.private, "--missing": map(str, data.read.get("missing", []))}
    found += [option(name, value) for name, values in repeated.items() for value in values]
    if "skip_footer" in data.read:
        found.append(option("--skip-footer", str(data.read["skip_footer"])))
    return found
