"""Which values of a column have changed between two versions of a table, whatever the types of its versions."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from retrace.row_ids import canonical


def differ(values: pd.Series, base_values: pd.Series) -> NDArray[np.bool_]:
    """Whether each value differs; the same value in a column of another type doesn't, and missing values are equal."""
    if values.dtype != base_values.dtype:
        values, base_values = _as_canonical_text(values), _as_canonical_text(base_values)
    return ~((values == base_values) | (values.isna() & base_values.isna())).to_numpy(bool)


def _as_canonical_text(values: pd.Series) -> pd.Series:
    return pd.Series(canonical(values), index=values.index).replace("", None)
