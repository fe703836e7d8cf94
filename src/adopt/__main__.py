"""Your table becomes this project's data.

    python -m src.adopt FILE --target COLUMN [--task TASK] [--time COLUMN] [--group COLUMN] [--id COLUMN]
                             [--drop COLUMN]... [--private COLUMN]...

FILE is a CSV, TSV, Parquet or JSON Lines file (.gz too), or a folder of such files with the same columns. How it's
written is found and shown, with what each column is taken for and what to beware of. Then the table goes to
data/source/ under DVC, and params.yaml and data/schema.yaml are written; `dvc repro` does the rest. A mistake changes
nothing. Run it again as often as you like, with all options that are to hold: what you changed in other parts of
params.yaml stays.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

from pydantic import ValidationError

from src.adopt import columns, project
from src.adopt.plan import Plan, moments_of, plan
from src.core.errors import UserError
from src.core.params import FILE, SplitByTime, complain
from src.core.schema import write_schema
from src.datasets.table import files_of

MOST_SHOWN = 40  # columns
MOST_KEYS = 2


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m src.adopt", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("file", metavar="FILE", type=Path)
    for name, told in (
        ("--target", "what is to be predicted"),
        ("--time", "when it was: learn on the past, compare on what came later"),
        ("--group", "what rows belong to: without --time, rows of a group are never parted"),
        ("--id", "what names a row, in this version of the table and the next"),
    ):
        parser.add_argument(name, metavar="COLUMN", help=told, required=name == "--target")
    parser.add_argument("--task", choices=["classification", "regression"], help="if the guess is wrong")
    for name, told in (("--drop", "no feature"), ("--private", "no value of it is shown anywhere")):
        parser.add_argument(name, metavar="COLUMN", action="append", default=[], help=f"{told}; may be repeated")
    return parser.parse_args()


def told(new: Plan, given: Path) -> Iterator[str]:
    """What was understood, and what to beware of."""
    files, how = len(files_of(given)), ", ".join(f"{k} {v!r}" for k, v in new.data.read.items() if k != "types")
    size = f"{len(new.raw):,} rows, {len(new.raw.columns)} columns{f', {files} files' if files > 1 else ''}"
    yield f"{given}: {size}{f'; {how}' if how else ''}"
    if new.data.read.get("encoding", "utf-16") != "utf-16":
        yield "warning: the encoding is a guess; where letters look wrong, correct data.read.encoding in params.yaml"
    yield ""
    found = list(columns.described(new.raw, new.data))
    width = min(30, max(len(one_line(column.name)) for column in found))
    yield f"  {'column':<{width}}  {'kind':<11}  missing  what is done with it"
    for name, kind, missing, role in found[:MOST_SHOWN]:
        share = "<1%" if 0 < missing < 0.01 else f"{missing:.0%}"
        yield f"  {name[:width]:<{width}}  {kind:<11}  {share:>7}  {role}"
    if len(found) > MOST_SHOWN:
        yield f"  and {len(found) - MOST_SHOWN} more"
    yield ""
    yield f"{new.data.task}: {new.why_task}"
    moments = moments_of(new.split)
    if isinstance(new.split, SplitByTime):
        yield f"split by time: valid from {moments['valid_from']}, test from {moments['test_from']}"
    else:
        shares = (f"{rows / len(new.prepared):.0%} {name}" for name, rows in new.rows.items())
        yield f"split by {new.split.by}: {', '.join(shares)}"
    if new.forgotten:
        yield f"warning: said last time, and no longer so: {', '.join(new.forgotten)}"
    for name in new.gone:
        yield f"warning: {name}: gone from the table, and row ids were made from it: each row gets another id"
    yield from (f"warning: {warning}" for warning in columns.warnings(new.raw, new.seen, new.data))


def one_line(text: str) -> str:
    """Text in one line, whatever is in it."""
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)


def listed(keys: list[str]) -> str:
    more = f" and {len(keys) - MOST_KEYS} more" if len(keys) > MOST_KEYS else ""
    return f"{', '.join(keys[:MOST_KEYS])}{more} changed" if keys else "as it was"


def main() -> None:
    arguments = parse()
    project.require_clean(arguments.file)
    try:
        new = plan(arguments)
    except ValidationError as error:
        raise complain(error, {}, FILE) from None
    except UserError as error:
        raise UserError(one_line(str(error))) from None  # a column's name may hold anything
    for line in told(new, arguments.file):
        print(one_line(line))
    place = Path(new.data.source)
    text, changed = project.written(new.params)
    first = project.first_schema(new.raw, new.data.private)
    keeper = project.put(arguments.file, place)
    project.write_params(text)
    if first:
        write_schema({"table": first})
    project.remember(place)
    print(f"\n{place}: under {keeper}")
    for other in sorted(set(project.SOURCE.glob("*.dvc")) - {place.with_name(f"{place.name}.dvc")}):
        print(f"{other}: of another table; if it's needed no more, `dvc remove {other}`")
    print(f"params.yaml: {listed(changed)}")
    print(f"data/schema.yaml: {'written; loosen what it says too narrowly' if first else 'as it was'}")
    print("\nNext: `dvc repro`, then `git add --all` and `git commit`.")


if __name__ == "__main__":
    main()
