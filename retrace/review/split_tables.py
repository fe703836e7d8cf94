"""The tables of a revision's train, valid and test, which DVC keeps."""

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import pandas as pd

from retrace.errors import UserError
from retrace.review.dvc_project import cached_files
from retrace.review.pipeline import read_stages
from retrace.review.revision import Revision, flattened

PARTS = {name: f"data/split/{name}.parquet" for name in ("train", "valid", "test")}


def id_column(revision: Revision) -> str:
    """The column of the examples' ids in a revision's tables."""
    return str(flattened(revision.content_or_empty("params.yaml")).get("data.id") or "row_id")


def read_tables(
    revision: Revision, paths: Mapping[str, str], columns: list[str] | None = None
) -> dict[str, pd.DataFrame]:
    """Parquet files that DVC keeps, or some of their columns, from the folder or this project's cache.

    A revision's tables are in the cache if its pipeline was run here, or if they were pulled.

    Args:
        revision: whose tables.
        paths: the path of each table, by the name that it gets.
        columns: the columns to read; None: all of them.

    Returns:
        The tables by their names. A table that isn't at hand, or that lacks a column, is left out.
    """
    hashes: dict[str, str | None] = {}
    if revision.commit:
        with suppress(UserError):  # what is wrong with the pipeline is said elsewhere
            for stage in read_stages(revision).values():
                hashes |= stage.outs
    tables = {}
    for name, path in paths.items():
        file = cached_files(path, hashes.get(path))[path] if revision.commit else Path(path)
        with suppress(OSError, ValueError):  # pyarrow's errors are of both kinds
            if file:
                tables[name] = pd.read_parquet(file, columns=columns)
    return tables
