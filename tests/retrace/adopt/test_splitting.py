"""A table is split so that intervals are right: rows that share their chance are drawn together."""

import pandas as pd
import pytest

from retrace.adopt.splitting import choose_block


@pytest.mark.parametrize(
    ("times", "block"),
    [
        (pd.date_range("2000-01-01", periods=900, freq="D"), "week"),
        (pd.date_range("2000-01-01", periods=4000, freq="D"), "month"),
        (pd.date_range("2000-01-01", periods=2000, freq="h"), "hour"),
        (pd.date_range("2000-01-01", periods=2500, freq="h"), "day"),
        (pd.date_range("2000-01-01", periods=60, freq="MS"), "month"),  # 12 in valid, and no finer block has more
        (pd.date_range("2000-01-01", periods=2500, freq="min"), "hour"),  # 9 in valid
        (pd.date_range("2000-01-01", periods=900, freq="s"), None),  # one hour
    ],
)
def test_the_block_is_the_coarsest_of_which_valid_has_twenty(times: pd.DatetimeIndex, block: str | None):
    in_valid = pd.Series(times[len(times) * 6 // 10 : len(times) * 8 // 10])
    assert choose_block(in_valid) == block
