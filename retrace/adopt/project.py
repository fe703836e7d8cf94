"""The project's own files: which of them adopt changes, and how."""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from dvc.utils.serialize import dumps_yaml, parse_yaml_for_update
from pandera.pandas import DataFrameSchema

from retrace import params, schema
from retrace.adopt.sample import Sampled
from retrace.adopt.shown import quoted
from retrace.adopt.snapshot import origin_file, query_file
from retrace.adopt.stored import AnyTable, chunks_of, whole
from retrace.errors import UserError
from retrace.files import replacing, write_bytes, write_json
from retrace.git import git_names, git_or_none, git_status, require_own_repository
from retrace.pieces import columns_in_pieces
from retrace.problem_page import PAGE
from retrace.tables.files import files_of
from retrace.yaml_files import read_yaml

SOURCE = Path("data/source")
IGNORED = Path(".gitignore")
RECORD = Path(".dvc/tmp/adopt.json")


def require_clean(given: Path) -> None:
    """Check that all files are committed, so that what adopt does can be seen and undone.

    Results, and what adopt itself wrote before, may be uncommitted.

    Args:
        given: the user's file or folder.

    Raises:
        UserError: there is no such table, a file has changed since the last commit, there is no commit, or a whole
            part of the project is given as the table.
    """
    require_own_repository()
    if not given.exists():
        raise UserError(f"{given}: {'a link that leads nowhere' if given.is_symlink() else 'no such file'}")
    if given.resolve() == SOURCE.resolve():
        raise UserError(f"{given}: the folder of all tables; name one of them, or a folder in it")
    if Path.cwd().is_relative_to(given.resolve()) or SOURCE.resolve().is_relative_to(given.resolve()):
        raise UserError(f"{given}: holds the project itself; name a table, or a folder of tables alone")
    own_hashes = remembered()
    for name, letters in git_status().items():
        is_given = Path(name).resolve().is_relative_to(given.resolve())
        is_result = name == "dvc.lock" or name.startswith("metrics/")
        is_own = name in own_hashes and own_hashes[name] == _hash(Path(name))
        if not (is_given or is_result or is_own):
            new = "not in Git; commit it (or, if it's data, move it out of the folder)"
            told = new if letters == "??" else "changed since the last commit; `git commit` or `git stash`"
            raise UserError(f"{name}: {told} first, so that what adopt does can be undone")


def _hash(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest() if file.is_file() else ""


def place_of(given: Path) -> Path:
    """Where a file or folder of the user's goes: data/source/ and its name without characters that need quoting.

    What is in data/source/ already stays where it is.
    """
    if given.resolve().parent == SOURCE.resolve():
        return SOURCE / given.name
    stem, *suffixes = given.name.split(".")
    name = ".".join([re.sub(r"[^\w-]+", "-", part).strip("-") for part in [stem or "table", *suffixes]])
    return SOURCE / (name or "table")


def is_present(source: Path) -> bool:
    """Whether a table was adopted; the file itself may have to be pulled."""
    return source.exists() or pointer_of(source).exists()


def pointer_of(source: Path) -> Path:
    """The file by which DVC knows a table; there is none if Git has the table."""
    return source.with_name(f"{source.name}.dvc")


def put(given: Path, place: Path) -> str:
    """Copy the files that were read to their place, and put them under DVC unless Git has them.

    Args:
        given: the user's file or folder.
        place: where it goes, as `place_of` says.

    Returns:
        Which of the two has them: Git or DVC.

    Raises:
        UserError: they cannot be written, DVC does not take them, or a folder that is in its place already holds files
            that were not read, which DVC would take as well.
    """
    new = not place.exists()
    in_git = git_or_none("ls-files", "--error-unmatch", "--", str(place)) is not None
    try:
        if given.resolve() != place.resolve():
            place.parent.mkdir(parents=True, exist_ok=True)
            if given.is_dir():
                _copy_folder(given, place)
            else:
                with replacing(place) as part:
                    shutil.copyfile(given, part)
        elif given.is_dir():
            _require_read(place)
    except OSError as error:
        raise UserError(f"{place}: cannot be written: {error.strerror}: {error.filename}") from None
    if not in_git:
        command = [sys.executable, "-m", "dvc", "add", str(place)]
        done = subprocess.run(command, capture_output=True, encoding="utf-8", errors="replace")
        if done.returncode:
            if new:  # left in its place, Git would take it
                shutil.rmtree(place) if place.is_dir() else place.unlink()
            why = " ".join(done.stderr.partition("ERROR: ")[2].split())[:300]
            raise UserError(f"{place}: `dvc add` fails: {why}")
    return "Git" if in_git else "DVC"


def _copy_folder(given: Path, place: Path) -> None:
    """Replace a folder by the files of another that are read, and no others."""
    part = place.with_name(f"{place.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    try:
        for file in files_of(given):
            copy = part / file.relative_to(given)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, copy)
        shutil.rmtree(place, ignore_errors=True)
        part.rename(place)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _require_read(folder: Path) -> None:
    """Check that a folder holds nothing that is not read, since DVC adds all that is in it."""
    read = {file.resolve() for file in files_of(folder)}
    for parent, folders, names in os.walk(folder):
        linked = [name for name in folders if (Path(parent) / name).is_symlink()]
        for name in sorted(linked + names):
            file = Path(parent) / name
            if file.resolve() not in read:
                raise UserError(f"{file}: is not read as part of the table, but DVC would store it; move it out")


def keep_out_of_git(given: Path) -> str:
    """Add the user's file to .gitignore if it is in the project, and return what was done."""
    file, root = given.resolve(), Path.cwd().resolve()
    if not file.is_relative_to(root) or file.is_relative_to(SOURCE.resolve()):
        return ""
    name = file.relative_to(root).as_posix()
    if git_or_none("ls-files", "--error-unmatch", "--", name) is not None:
        return f"{name}: is in Git itself; `git rm -r --cached -- {quoted(name)}` takes it out of the next commit"
    if not git_names("ls-files", "--others", "--exclude-standard", "-z", "--", name):  # it is ignored already
        return ""
    before = IGNORED.read_bytes() if IGNORED.exists() else b""
    line = re.sub(r"([\\*?\[\]!# ])", r"\\\1", name)
    line = re.sub(r"[\r\n]", "?", line)  # in a pattern, the only way to match a line break
    separator = b"" if before.endswith(b"\n") or not before else b"\n"
    write_bytes(before + separator + b"/%s\n" % os.fsencode(line), IGNORED)
    return f"{name}: stays where it is, and {IGNORED} keeps it out of Git; the project reads its copy"


def written(content: dict[str, Any]) -> tuple[str, list[str]]:
    """The text of params.yaml with new content, and the keys that changed.

    Comments and layout stay, as when DVC writes the file.

    Args:
        content: the content, by section.
    """
    old = parse_yaml_for_update(params.FILE.read_text(encoding="utf-8"), params.FILE)
    changed = _set(old, content)
    # An empty line after a list is lost with the list; one after an empty list comes before its first item.
    text = re.sub(r"(#.*)\n\n+(?=  - )", r"\1\n", dumps_yaml(old))
    return re.sub(rf"\n+(?=({'|'.join(params.Params.model_fields)}):)", r"\n\n", text), changed


def write_params(text: str) -> None:
    """Write params.yaml."""
    write_bytes(text.encode(), params.FILE)


def _set(old: Any, new: dict[str, Any], prefix: str = "") -> list[str]:
    """Give one nested mapping the content of another, in place, and return the dotted keys that changed."""
    changed = []
    for key in [key for key in old if key not in new]:
        del old[key]
        changed.append(f"{prefix}{key}")
    for key, value in new.items():
        if isinstance(value, dict) and value and isinstance(old.get(key), dict):
            changed += _set(old[key], value, f"{prefix}{key}.")
        elif key not in old or old[key] != value or isinstance(old[key], bool) != isinstance(value, bool):
            if value == [] and key in old.ca.items:
                old.ca.items[key][3] = None  # else the brackets get a line of their own
            old[key] = value
            changed.append(f"{prefix}{key}")
    return changed


def first_schema(raw: Sampled, private: list[str], key: str | None) -> DataFrameSchema | None:
    """A first schema for the table; None if the present one can stay as it is.

    It can if the table meets it and it shows no values of private columns.

    Args:
        raw: the table.
        private: the columns of which no value may be shown.
        key: the column that names the rows, if there is one.

    Raises:
        UserError: the present one cannot be read.
    """
    present = schema.read_schema() if schema.FILE.is_file() else {}
    is_met = present.keys() == {"table"} and not _breaches(raw.table, present["table"])
    if is_met and not any(schema.shows_values(present["table"], name) for name in private):
        return None
    return schema.infer(columns_in_pieces(raw.table), private, key)


def _breaches(raw: AnyTable, present: DataFrameSchema) -> list[str]:
    """The breaches of a schema by the table."""
    return schema.breaches([whole(raw)] if schema.needs_all_rows(present) else chunks_of(raw), present)


def remembered() -> dict[str, str]:
    """The files that adopt wrote before, with the hash of each."""
    return dict(json.loads(RECORD.read_text(encoding="utf-8"))) if RECORD.is_file() else {}


def remember(place: Path) -> None:
    """Record what was written, so that adopt may be run again before it is committed."""
    pointer = pointer_of(place)
    files = [params.FILE, PAGE, schema.FILE, pointer, SOURCE / ".gitignore", IGNORED]
    files += [origin_file(place), query_file(place)]
    write_json(remembered() | {file.as_posix(): _hash(file) for file in files if file.is_file()}, RECORD)


def current() -> dict[str, Any]:
    """params.yaml as it is, by section.

    Raises:
        UserError: it is not valid.
    """
    params.read_params()
    return dict(read_yaml(params.FILE))
