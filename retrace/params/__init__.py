"""params.yaml: its sections, the types of its values, and how it is read."""

from retrace.params.mistakes import params_error
from retrace.params.reading import FILE, read_params
from retrace.params.sections import (
    Baseline,
    Choices,
    Costs,
    Data,
    Gate,
    Params,
    Range,
    Search,
    SplitByShare,
    SplitByTime,
    Train,
)
from retrace.params.types import Block, as_number, local_path

__all__ = [
    "FILE",
    "Baseline",
    "Block",
    "Choices",
    "Costs",
    "Data",
    "Gate",
    "Params",
    "Range",
    "Search",
    "SplitByShare",
    "SplitByTime",
    "Train",
    "as_number",
    "local_path",
    "params_error",
    "read_params",
]
