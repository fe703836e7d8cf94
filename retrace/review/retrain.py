"""Train the model on new data.

    python -m retrace new-data
    python -m retrace retrain

`new-data` calls the function `get_new_data` in src/new_data.py, which the project may change. If the data has changed
since the last commit, because somebody has replaced the source, the function isn't called. `retrain` does the same,
moves the dates of a split by time, runs the pipeline and shows the scores. Both end with exit code 3 if there is no new
data.

The dates move because the model must be tested on the newest rows. Both move by the same step, so valid keeps its
length. Rows of valid become training rows, and rows of test become valid or training rows, in the order of time. The
step is the time from the last row of the committed data to the last row now. It's in whole months if both dates are the
first day of a month, and in whole days if both are at midnight. It's added to the dates of the last commit, so they
don't move twice if `retrain` is run again after an error.
"""

import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from dvc.utils.serialize import dumps_yaml, parse_yaml_for_update

from retrace.check import check
from retrace.command_line import make_parser
from retrace.errors import UserError, one_line
from retrace.files import short_moment, write_bytes
from retrace.git import git, git_status, require_own_repository
from retrace.params import FILE, Data, SplitByTime, read_params
from retrace.registry import identity
from retrace.review.commands import scores
from retrace.review.pipeline import read_pipeline
from retrace.review.rerun import run_pipeline
from retrace.review.revision import FOLDER, Revision, flattened
from retrace.review.split_tables import PARTS, id_column, read_tables
from retrace.table_files import read_table
from src.new_data import get_new_data

NO_NEW_DATA = 3  # exit code
PREPARED = "data/prepared.parquet"
MESSAGE = "Retrain on new data"
GO_BACK = "`git restore params.yaml data`, `dvc checkout` and `make undo`"
MAY_CHANGE = r"data\.read\b|split\.(valid|test)_from$"  # keys of params.yaml


def new_data(words: list[str]) -> None:
    """Get new data, if there is any; exit code 3 if there is none."""
    make_parser("new-data", str(new_data.__doc__)).parse_args(words)
    require_own_repository()
    require_committed_rest(read_params().data)
    if not find_new_data():
        sys.exit(NO_NEW_DATA)


def retrain(words: list[str]) -> None:
    """Get new data, move the dates of a split by time, run the pipeline, and show the scores.

    The change isn't committed without --commit. If there is no new data, nothing changes, and the exit code is 3.
    """
    parser = make_parser("retrain", str(retrain.__doc__))
    parser.add_argument("--commit", action="store_true", help="commit the change on the present branch")
    arguments = parser.parse_args(words)
    require_own_repository()
    params = read_params()
    require_committed_rest(params.data)
    if arguments.commit:
        identity()
    by_time = isinstance(params.split, SplitByTime)
    last_row = committed_last_time(params.data) if by_time else None
    if not find_new_data():
        sys.exit(NO_NEW_DATA)
    if by_time:
        run_or_explain("prepare")
        move_dates(last_row)
    check([])
    run_or_explain("dvc.yaml")
    changes = [one_line(f"{key}: {change}") for key, change in changed_params().items()]
    print("", *changes, describe_new_rows(), "", sep="\n")
    scores([])
    if arguments.commit:
        require_committed_rest(params.data)  # somebody may have changed a file in the meantime
        git("add", "--all")
        git("commit", "--quiet", "--message", MESSAGE, "--message", "\n".join(changes))
        print(f"\ncommitted: {MESSAGE}")
    else:
        print("\n`git add --all` and `git commit` keep this.", f"To go back: {GO_BACK}.", sep="\n")


def require_committed_rest(data: Data) -> None:
    """Check that only the data, its dates and results have changed since the last commit.

    Raises:
        UserError: something else has changed, so that the scores wouldn't show the effect of the new data alone.
    """
    changed = [f"{FILE}: {key}" for key in changed_params() if not re.match(MAY_CHANGE, key)]
    expected = {str(FILE), "dvc.lock", data.source, f"{data.source}.dvc"}
    folders = ("data/", "metrics/", f"{data.source}/")
    changed += [name for name in git_status() if name not in expected and not name.startswith(folders)]
    if changed:
        raise UserError(f"{changed[0]}: changed since the last commit; `git commit` or `git stash` first")


def find_new_data() -> bool:
    """Get new data unless it's here already, and say what has changed; returns whether there is any.

    Raises:
        UserError: DVC can't read the pipeline, or new data can't be read.
    """
    data = read_params().data
    if not changed_data(data) and (arguments := get_new_data(data)):
        set_params(["data", "read"], arguments)
    changed = changed_data(data)
    print(one_line(f"new data: {', '.join(changed)}" if changed else "there is no new data"), flush=True)
    return bool(changed)


def changed_data(data: Data) -> list[str]:
    """The source and the keys of data.read, if they differ from those of the last commit.

    A source tracked by DVC has changed if its .dvc file has changed, or if the source differs from its .dvc file.

    Raises:
        UserError: DVC can't read the pipeline, or the source is that of another commit.
    """
    read = [key for key in changed_params() if key.startswith("data.read")]
    pipeline = read_pipeline(FOLDER)
    if data.source in pipeline.of_another_commit:
        raise UserError(f"{data.source}: is that of another commit; `dvc checkout` brings the one of this commit")
    names = {name for inputs in pipeline.changed_inputs.values() for name in inputs}
    source_changed = data.source in names or git_status(data.source, f"{data.source}.dvc")
    return [data.source] * bool(source_changed) + read


def committed_last_time(data: Data) -> Any:
    """The time of the last row of the last commit's prepared table: pandas' Timestamp, or a number.

    Raises:
        UserError: the table isn't in DVC's cache.
    """
    tables = read_tables(Revision.of("HEAD"), {"prepared": PREPARED}, [str(data.time)])
    if not tables:
        raise UserError(f"{PREPARED}: the last commit's table isn't in DVC's cache; `dvc pull` may bring it")
    return tables["prepared"][data.time].max()


def describe_new_rows() -> str:
    """How many rows of each part aren't in the last commit's table, in words."""
    revision = Revision.of("HEAD")
    before = read_tables(revision, {"prepared": PREPARED}, [id_column(revision)])
    if not before:
        return f"{PREPARED}: the last commit's table isn't in DVC's cache, so the new rows can't be counted"
    parts = read_tables(FOLDER, PARTS, [id_column(FOLDER)])
    known = before["prepared"].iloc[:, 0]
    counts = [f"{(~ids.iloc[:, 0].isin(known)).sum():,} in {name}" for name, ids in parts.items()]
    return f"new rows: {', '.join(counts)}"


def move_dates(before: Any) -> None:
    """Move the dates of the split in params.yaml: from those of the last commit, by the time between the last rows.

    Args:
        before: the time of the last commit's last row.
    """
    after = read_table(Path(PREPARED))[read_params().data.time].max()
    committed = SplitByTime.model_validate(Revision.of("HEAD").yaml(str(FILE))["split"])
    dates = {"valid_from": committed.valid_from, "test_from": committed.test_from}
    set_params(["split"], moved(dates, before, after))


def moved(dates: Mapping[str, Any], before: Any, after: Any) -> dict[str, str | float]:
    """The dates of a split, moved by the time between the old and the new last row; unchanged if that isn't later.

    Args:
        dates: `valid_from` and `test_from`, both datetimes or both numbers.
        before: the time of the last row before, of the same kind.
        after: the time of the last row now.

    Returns:
        Both as they are written in params.yaml.
    """
    after = max(before, after)
    if isinstance(before, pd.Timestamp):
        moments = {name: pd.Timestamp(date) for name, date in dates.items()}
        step = time_between(before, after, list(moments.values()))
        texts = {name: (moment + step).isoformat(timespec="microseconds") for name, moment in moments.items()}
        return {name: short_moment(text) for name, text in texts.items()}
    numbers = {name: float(number + after - before) for name, number in dates.items()}
    return {name: int(number) if number.is_integer() else number for name, number in numbers.items()}


def time_between(before: pd.Timestamp, after: pd.Timestamp, dates: list[pd.Timestamp]) -> pd.DateOffset | pd.Timedelta:
    """The time between two moments: in whole months if all dates are the first day of one, else in whole days.

    Only complete months count, so that test doesn't get short. A month may lack its last day, on which there may be no
    row. The time is exact if a date has a time of day.
    """
    if any(date != date.normalize() for date in dates):
        return after - before
    if any(date.day != 1 for date in dates):
        return after.normalize() - before.normalize()
    last_day = after.normalize() + pd.Timedelta(days=1)
    months = 0
    while before.normalize() + pd.DateOffset(months=months + 1) <= last_day:
        months += 1
    return pd.DateOffset(months=months)


def set_params(keys: Sequence[str], values: Mapping[str, Any]) -> None:
    """Set values in a section of params.yaml, or in a mapping inside it; comments and layout stay.

    Args:
        keys: those of the section, and of the mapping.
        values: the new values in it by their keys.
    """
    content = parse_yaml_for_update(FILE.read_text(encoding="utf-8"), FILE)
    section = content
    for key in keys:
        section = section[key]
    section.update(values)
    write_bytes(dumps_yaml(content).encode(), FILE)


def changed_params() -> dict[str, str]:
    """How each value of params.yaml differs from that of the last commit, by its dotted key."""
    before, after = (flattened(revision.yaml(str(FILE))) for revision in (Revision.of("HEAD"), FOLDER))
    keys = [key for key in after | before if after.get(key) != before.get(key)]
    return {key: f"{before.get(key)} → {after.get(key)}" for key in keys}


def run_or_explain(target: str) -> None:
    """Run the pipeline up to a stage, or all of it.

    Raises:
        UserError: it fails.
    """
    if not run_pipeline(target):
        raise UserError(
            f"retraining failed: fix what the lines above say, and run `make retrain` again; to go back: {GO_BACK}"
        )
