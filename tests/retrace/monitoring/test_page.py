"""The page of `make watch`: what it says, and what its charts show."""

from typing import Any

import pytest

from retrace.monitoring import page
from retrace.monitoring.page import alarm_text, draw_traffic, make_page, period_of, traffic_of


def content(**values: Any) -> dict[str, Any]:
    """The content of watch.json for three days; the labels of the last one aren't due yet."""
    shift = {"before": 0.5, "now": 0.7, "low": 0.4, "high": 0.6}
    by_day = {"values": [0.5, 0.7, 0.7], "rows": [9, 9, 9], "low": [0.3] * 3, "high": [0.7] * 3}
    statistics = {"location": by_day | {"shift": shift, "moved": 2.0, "outside_range": False}}
    median = {"release": 1010.0, "served": 2040.0}
    series = {"name": "distance", "group": "inputs", "level": 0.01, "alarms": [], "statistics": statistics}
    found = {"model": "m", "version": "v1.0.0", "by": "day", "days": ["2026-01-01", "2026-01-02", "2026-01-03"]}
    found |= {"predictions": [9, 9, 9], "labels": [9, 9, 0], "unreadable": 0, "false_alarms": 0.1, "label_days": 1}
    found |= {"all_labels_due": 2, "labelled_rows": None, "gate_metric": "log_loss"}
    return found | {"performance": {"scores": {}, "slices": []}, "series": [series | {"median": median}]} | values


def test_days_whose_labels_are_not_due_are_not_in_the_line_of_labels(monkeypatch: pytest.MonkeyPatch):
    drawn: list[Any] = []
    monkeypatch.setattr(page, "picture_of", lambda chart, _: drawn.append(chart) or "")
    draw_traffic(content(), width=100)
    monkeypatch.undo()
    table = drawn[0].data
    assert table.loc[table["what"] == "labels", "rows"].tolist() == [9, 9]
    assert table.loc[table["what"] == "predictions", "rows"].tolist() == [9, 9, 9]
    assert "so the line of labels ends earlier." in make_page(content())
    assert "so the line of labels ends earlier." not in make_page(content(all_labels_due=3))


def test_the_page_says_what_its_statistics_and_ranges_are():
    said = " ".join(make_page(content()).split())
    for name in ("location", "spread", "missing", "value …", "other values", "median, about", "mean"):
        assert f"<dt>{name}</dt> <dd>" in said
    assert "A value outside of the band isn't yet an alarm" in said
    assert "<td>median, about</td><td>1010</td><td>2040</td>" in said


def test_an_alarm_says_which_mean_its_range_is_of():
    alarm = {"statistic": "location", "since": "2026-01-05", "raised": "2026-01-19", "over": None}
    alarm |= {"before": 0.5058, "now": 0.6751, "low": 0.44, "high": 0.57}
    assert alarm_text("basket", alarm, "week") == (
        "basket: location was 0.506 before, and 0.675 from 2026-01-05 until the alarm was raised on 2026-01-19. "
        "If nothing had changed, the mean of these weeks would be 0.44 to 0.57, 95 times in 100."
    )


def test_one_prediction_is_singular():
    one = content(predictions=[1, 0, 0], labels=[1, 0, 0])
    assert traffic_of(one) == (
        "1 prediction, 1 of them with a label. 2 days had no predictions, most recently 2026-01-03."
    )
    assert period_of(one | {"days": ["2026-01-01"]}).startswith("1 day, ")
