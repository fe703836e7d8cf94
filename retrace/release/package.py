"""Pack the model into release/model.zip, with everything that it needs in order to predict.

    python -m retrace.release.package

The package is run once in an empty folder before the stage ends: it must predict for rows of train what the model
predicts here. That run also tells which packages it imports, and so which versions it needs.
"""

import hashlib
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from importlib.metadata import packages_distributions, version
from pathlib import Path
from typing import Any

import pandas as pd

from retrace.errors import UserError
from retrace.examples import Target, features, is_number
from retrace.files import FEWEST_ROWS_SHOWN, json_bytes, write_zip
from retrace.models import load_model
from retrace.package import FILE
from retrace.params import Params, read_params
from retrace.privacy import histogram
from retrace.release.cards import MODEL_CARD
from retrace.table_files import read_table
from src.model import promises_same_bytes

MODEL = Path("models/model.skops")
ROOMS = ("adopt", "monitoring", "release", "review", "serving")  # parts of the tool that no prediction needs
MAIN = b'''"""Predict for the rows of a CSV file: python model.zip ROWS.csv"""

from retrace.package import main

main()
'''
# What is imported when the package reads its model and predicts, besides the standard library.
LIST_IMPORTS = """
import sys
sys.argv[0] = sys.path[0] = sys.argv[1]
from retrace.package import conform, read_package  # before NumPy, which retrace sets up
from pathlib import Path
import pandas as pd
from retrace.answers import Answers
package = read_package(Path(sys.argv[1]), trusted=True)
Answers(package)
table = pd.read_parquet(sys.argv[2])
package.as_columns(package.predict(conform(table, package.columns))).to_parquet(sys.argv[3])
print(*sorted({name.partition(".")[0] for name in sys.modules}))
"""
MAX_CATEGORIES = 1000  # of a column; with more, it's rather free text, or names
ROWS_COMPARED = 100  # the rows of train for which the package must predict the same


def describe_column(values: pd.Series, *, private: bool) -> dict[str, Any]:
    """An input column: its kind, and unless it's private, its categories or the range of its numbers.

    Args:
        values: the column in train.
        private: whether none of its values may be shown.

    Returns:
        `kind`: number, boolean or text. Text that has at most MAX_CATEGORIES categories has `categories`, those that
        at least 10 rows have. Numbers have `low` and `high`, rounded, between which most rows are.
    """
    if pd.api.types.is_bool_dtype(values):
        return {"kind": "boolean"}
    if is_number(values):
        shown = None if private else histogram([values.to_numpy(float)])
        if shown is None:
            return {"kind": "number"}
        high = shown["first"] + len(shown["counts"]) * shown["step"]
        return {"kind": "number", "low": shown["first"], "high": high}
    counts = values.value_counts()
    common = sorted(counts.index[counts >= FEWEST_ROWS_SHOWN])
    if private or not common or len(counts) > MAX_CATEGORIES:
        return {"kind": "text"}
    return {"kind": "text", "categories": common}


def hash_of(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def own_package(import_path: str) -> str:
    """The name, on the package index, of the package that an estimator comes from; empty if the project defines it."""
    return next(iter(packages_distributions().get(import_path.partition(".")[0], [])), "")


def describe(params: Params, train: pd.DataFrame, test: Mapping[str, Any]) -> dict[str, Any]:
    """The content of model.json."""
    data = params.data
    target = Target.of(train[data.target], data)
    needs = {"scikit-learn", own_package(params.train.model)} - {""}
    return {
        "name": params.problem.name,
        "question": params.problem.question,
        "target": data.target,
        "task": data.task,
        "classes": list(target.classes),
        "positive": target.classes[-1] if len(target.classes) == 2 else None,
        "threshold": params.problem.costs.threshold if params.problem.costs else None,
        "data_set": data.set,
        "columns": [
            {"name": name, **describe_column(train[name], private=data.hides(name))} for name in features(train, data)
        ],
        "private": [name for name in features(train, data) if data.hides(name)],
        "private_raw": bool(data.private),  # whether a row may have private columns that aren't features
        "estimator": params.train.model,
        "same_bytes": promises_same_bytes(params.train),
        "needs": {name: version(name) for name in sorted(needs)},
        "lock": hash_of(Path("dvc.lock")),
        "data": hash_of(Path("data/prepared.parquet")),
        "test": test,
    }


def code() -> dict[str, bytes]:
    """All modules of src/, and those of retrace/ outside of the folders in ROOMS, by their path."""
    members = {"__main__.py": MAIN}
    for file in sorted([*Path("src").rglob("*.py"), *Path("retrace").rglob("*.py")]):
        is_room = file.parts[0] == "retrace" and len(file.parts) > 2 and file.parts[1] in ROOMS
        if not is_room:
            members[f"{file.parent.as_posix()}/"] = b""  # Python imports from a folder without __init__.py only with it
            members[file.as_posix()] = file.read_bytes()
    return members


def run_elsewhere(members: Mapping[str, bytes], rows: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Run the package in an empty folder: what it predicts for some rows, and the modules that it imports.

    Raises:
        UserError: it fails there.
    """
    with tempfile.TemporaryDirectory(prefix="package-") as name:
        folder = Path(name)
        write_zip(members, folder / "model.zip")
        rows.to_parquet(folder / "rows.parquet")
        command = [sys.executable, "-c", LIST_IMPORTS, "model.zip", "rows.parquet", "predictions.parquet"]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
        if done.returncode:
            raise UserError(f"{FILE}: the package can't predict outside of the project: {done.stderr.strip()[-300:]}")
        return pd.read_parquet(folder / "predictions.parquet"), done.stdout.split()


def pins(modules: list[str], requirements: str) -> str:
    """The lines `name==version` of requirements.txt for the packages that some modules come from."""
    found = packages_distributions()
    names = {name.lower().replace("_", "-") for module in modules for name in found.get(module, [])}
    lines = re.findall(r"^([\w.-]+)==(\S+)", requirements, re.M)
    return "".join(f"{name}=={pinned}\n" for name, pinned in lines if name.lower() in names)


def main() -> None:
    params = read_params()
    train, valid = (read_table(Path(f"data/split/{part}.parquet")) for part in ("train", "valid"))
    model = load_model(MODEL)
    test = json.loads(Path("release/test.json").read_text(encoding="utf-8"))
    description = describe(params, train, test)
    target = Target(tuple(description["classes"]))
    columns = [column["name"] for column in description["columns"]]
    predicted = target.predict(model, valid[columns])
    reference = json.loads(Path("release/reference.json").read_text(encoding="utf-8"))
    reference["predictions"] = histogram([predicted.reshape(len(valid), -1)[:, -1]])
    members = {
        "model.json": json_bytes(description),
        "MODEL_CARD.md": MODEL_CARD.read_bytes(),
        "reference.json": json_bytes(reference),
        "model.skops": MODEL.read_bytes(),
        "requirements.txt": b"",
        **code(),
    }
    rows = train[columns].head(ROWS_COMPARED)
    elsewhere, modules = run_elsewhere(members, rows)
    here = target.predict(model, rows)
    if not (elsewhere.to_numpy().reshape(here.shape) == here).all():
        raise UserError(f"{FILE}: the package predicts other numbers than {MODEL}")
    members["requirements.txt"] = pins(modules, Path("requirements.txt").read_text(encoding="utf-8")).encode()
    write_zip(members, FILE)
    print(f"{FILE}: {FILE.stat().st_size / 1e6:.1f} MB, {len(columns)} input columns")


if __name__ == "__main__":
    main()
