"""Is everything that dvc.lock and the .dvc files name in the storage, and whole?

    python -m retrace verify

The lists of what is in folders are downloaded, and little else. A storage mostly says how large each object is, and S3
mostly says its MD5, which is the object's name. An object is downloaded only if what the storage says of it contradicts
dvc.lock. What is in the cache of this clone, or in a storage that is a folder, is hashed.
"""

import os
import re
from dataclasses import dataclass
from typing import Any, NamedTuple

from dvc.output import Output
from dvc.repo import Repo
from dvc_data.hashfile.db import HashFileDB
from dvc_data.hashfile.hash import hash_file
from dvc_data.hashfile.tree import Tree

from retrace.command_line import make_parser, print_table
from retrace.errors import UserError, one_line
from retrace.review.dvc_project import open_project, stage_name

MD5 = re.compile("[0-9a-f]{32}")
MISSING = "missing"
GONE = (404, 410)  # what HTTP answers where there is nothing
HASH_NAMES = ("md5", "md5-dos2unix")  # what DVC 2 made has the second one
PUSH = "`make push` (or `dvc push`) in a clone that has the files"
NOT_STORED = f"missing in the storage: {PUSH}; `dvc repro --force STAGE` makes a stage's outputs again"
DAMAGED_STORE = (
    "damaged or incomplete in the storage: first delete the objects in the last column, which DVC would not replace; "
    f"then {PUSH}"
)
NO_STORAGE = "there is no storage; docs/template.md says how to add one"
NOT_CACHED = (
    "missing in the cache, and there is no storage: `dvc repro` makes a stage's outputs again; "
    "`dvc add FILE` keeps a file that is here"
)
DAMAGED_CACHE = (
    "damaged in the cache: delete the objects in the last column, and the file in the project; then `dvc pull`, or "
    "without a storage `dvc repro`"
)

Place = dict[str, HashFileDB]  # the storage or the cache: DVC's databases by the name of the hash
Key = tuple[str, str]  # an object in a place: the name of its hash, and its hash


class Recorded(NamedTuple):
    """An object that dvc.lock or a .dvc file names.

    Attributes:
        path: The file or folder in the project.
        stage: The stage that makes it, or its .dvc file.
        hash_name: The name of its hash.
        hash: Its hash, which is its name in a storage; it ends in `.dir` for a folder's list.
        size: Its bytes; None where they aren't recorded, as of a folder's list and of the files in it.
    """

    path: str
    stage: str
    hash_name: str
    hash: str
    size: int | None

    @property
    def key(self) -> Key:
        """What names it in a place; two outputs with the same content have one object."""
        return self.hash_name, self.hash

    @property
    def md5(self) -> str:
        """The hash of its content."""
        return self.hash.removesuffix(".dir")

    @property
    def is_list(self) -> bool:
        """Whether it's a folder's list."""
        return self.hash != self.md5

    def path_in(self, place: Place) -> str:
        """Where the storage or the cache has it."""
        return str(place[self.hash_name].oid_to_path(self.hash))

    def is_whole(self, place: Place) -> bool:
        """Whether what the storage or the cache has is its content; the object is read."""
        _, actual = hash_file(self.path_in(place), place[self.hash_name].fs, self.hash_name)
        return actual.value == self.md5


class Problem(NamedTuple):
    """What is wrong with an object.

    Attributes:
        recorded: The object.
        finding: What is wrong with it.
        to_delete: The objects that must be deleted before it can be brought back.
        advice: What brings it back.
    """

    recorded: Recorded
    finding: str
    to_delete: list[str]
    advice: str


@dataclass
class Checked:
    """What was found in one place: a storage, or the cache.

    Attributes:
        present: The bytes of each object that is there; None where the storage doesn't say how many.
        hashed: The objects whose content is known to have their hash.
        findings: What is wrong with an object.
    """

    present: dict[Key, int | None]
    hashed: set[Key]
    findings: dict[Key, str]


def verify(words: list[str]) -> None:
    """Check that the storage has all that dvc.lock and the .dvc files name, whole, without downloading it.

    What is in the cache of this clone is checked, too. Without a storage, the cache must have everything.
    """
    parser = make_parser("verify", str(verify.__doc__))
    parser.add_argument("--remote", metavar="NAME", help="the storage to check, if not DVC's default one")
    named = parser.parse_args(words).remote
    problems, unanswered = check_storage(named)
    if problems:
        print()
        rows = [[p.recorded.path, p.recorded.stage, p.finding, " ".join(p.to_delete)] for p in problems]
        print_table((["file", "stage", "problem", "delete"], rows))
    if problems or unanswered:
        raise UserError(*unanswered, *dict.fromkeys(problem.advice for problem in problems))


def check_storage(named: str | None = None, *, is_required: bool = False) -> tuple[list[Problem], list[str]]:
    """Check the storage and the cache, and print how much each has.

    Args:
        named: The remote; None: DVC's default one.
        is_required: Whether a storage is needed; otherwise the cache of this clone takes its place.

    Returns:
        What is wrong; and a line for each remote that can't be reached, or refuses to answer.

    Raises:
        UserError: there is no such remote, or none though one is needed.
    """
    problems: list[Problem] = []
    unanswered: list[str] = []
    with open_project() as repo:
        outs_by_remote = _outs_by_remote(repo, named)
        if is_required and None in outs_by_remote:
            raise UserError(NO_STORAGE)
        for remote, outs in outs_by_remote.items():
            try:
                problems += _check_outs(repo, remote, outs)
            except UserError as error:
                unanswered.append(str(error))
    return problems, unanswered


def _outs_by_remote(repo: Repo, named: str | None) -> dict[str | None, list[Output]]:
    """The outputs of all pipelines and .dvc files, by the remote that is to have them; None: there is no remote.

    Raises:
        UserError: no remote has the name that is given, or none is the default one.
    """
    remotes = repo.config["remote"]
    default = named or repo.config["core"].get("remote")
    if default and default not in remotes:
        raise UserError(f"{default}: no remote has this name; `dvc remote list` shows those of this project")
    if remotes and not default:
        raise UserError("no remote is the default one: add --remote NAME; `dvc remote list` shows their names")
    found: dict[str | None, list[Output]] = {}
    for out in sorted(repo.index.outs, key=str):
        kept_elsewhere = out.stage.is_repo_import or (named and out.remote not in (None, named))
        if out.use_cache and out.hash_info and out.can_push and not kept_elsewhere:
            found.setdefault(out.remote or default, []).append(out)
    return found


def _check_outs(repo: Repo, remote: str | None, outs: list[Output]) -> list[Problem]:
    """Check outputs in their remote and in the cache, and print how many were; returns what is wrong.

    Raises:
        UserError: the remote can't be reached, or refuses to answer.
    """
    cache: Place = dict(zip(HASH_NAMES, (repo.cache.local, repo.cache.legacy), strict=True))
    storage: Place = {}
    in_storage: Checked | None = None
    try:
        if remote:
            storage = {name: repo.cloud.get_remote_odb(remote, "verify", hash_name=name) for name in HASH_NAMES}
        objects = [(out, _objects(out, [cache, storage])) for out in outs]
        if storage:
            in_storage = _check(storage, objects)
    except Exception as error:  # each kind of storage has its own exceptions
        reason = f"{type(error).__name__}: {' '.join(str(error).split())}"
        advice = "check its address, the network and your credentials"
        raise UserError(f"remote {remote}: {reason}; {advice}" if remote else f"cache: {reason}") from None
    in_cache = _check(cache, objects)
    keys = {recorded.key for _, members in objects for recorded in members}
    if in_storage:
        _print_counts(f"remote {remote}", len(keys), in_storage)
    _print_counts("cache", len(keys), in_cache)
    in_cache_problems = _problems(cache, objects, in_cache, is_storage=False)
    if not in_storage:
        return in_cache_problems
    damaged_in_cache = [problem for problem in in_cache_problems if problem.finding != MISSING]
    return _problems(storage, objects, in_storage, is_storage=True) + damaged_in_cache


def _print_counts(name: str, expected: int, checked: Checked) -> None:
    """One line: how many objects a place has, how large they are, and of how many the hash is known to be right."""
    known = [size for size in checked.present.values() if size is not None]
    unknown = len(checked.present) - len(known)
    of_unknown = f" and {unknown:,} of unknown size" if unknown else ""
    print(
        one_line(
            f"{name}: {len(checked.present):,} of {expected:,} objects, {sum(known):,} bytes{of_unknown}; "
            f"the hash of {len(checked.hashed):,} is right"
        )
    )


def _objects(out: Output, places: list[Place]) -> list[Recorded]:
    """The objects of an output: a file; or a folder's list, and the files in it if a place has the list."""
    stage, hash_name, value = stage_name(out.stage), str(out.hash_info.name), str(out.hash_info.value)
    if not out.hash_info.isdir:
        return [Recorded(str(out), stage, hash_name, value, out.meta.size)]
    folder = Recorded(f"{out}/", stage, hash_name, value, None)
    for place in places:
        if place and place[hash_name].exists(value) and folder.is_whole(place):
            files = []
            for key, _, info in Tree.load(place[hash_name], out.hash_info):
                files.append(Recorded("/".join([str(out), *key]), stage, hash_name, info.value, None))
            return [folder, *files]
    return [folder]


def _check(place: Place, objects: list[tuple[Output, list[Recorded]]]) -> Checked:
    """Look for the objects of each output in a place, and compare what can be compared."""
    checked = _look_for([recorded for _, members in objects for recorded in members], place)
    for out, (_, *files) in objects:
        sizes = [checked.present.get(file.key) for file in files]
        known = [size for size in sizes if size is not None]
        if len(known) == len(files) > 0 and out.meta.size not in (None, sum(known)):
            # One of the files is damaged: of these, only the sum of their sizes is recorded.
            for file in files:
                if file.key not in checked.hashed and file.key not in checked.findings:
                    _read(file, place, checked, "another content")
    return checked


def _look_for(objects: list[Recorded], place: Place) -> Checked:
    """Find each object, and judge it by what the place says of it, or by reading it."""
    checked = Checked({}, set(), {})
    fs = place["md5"].fs
    with_size_last = sorted(objects, key=lambda recorded: recorded.size is not None)
    unique = list({recorded.key: recorded for recorded in with_size_last}.values())
    infos = fs.info([recorded.path_in(place) for recorded in unique], return_exceptions=True)
    tells_md5 = False
    with_other_md5: list[tuple[int, Recorded]] = []
    for recorded, info in zip(unique, infos, strict=True):
        if isinstance(info, Exception):
            _raise_unless_missing(info, fs.protocol)
            checked.findings[recorded.key] = MISSING
            continue
        size, told = info.get("size"), _md5_of(info)
        checked.present[recorded.key] = size
        if told == recorded.md5:
            tells_md5 = True
            checked.hashed.add(recorded.key)
        elif None not in (recorded.size, size) and recorded.size != size:
            _read(recorded, place, checked, f"{size:,} bytes in place of {recorded.size:,}")
        elif recorded.is_list or fs.protocol == "local":
            _read(recorded, place, checked, "another content")
        elif told:
            with_other_md5.append((size or 0, recorded))
    # Where a storage encrypts, what looks like an MD5 isn't that of the content. One object shows it: the smallest one
    # that is whole. A storage that told the MD5 of another object doesn't encrypt, or not everything: all are read.
    for _, recorded in sorted(with_other_md5, key=lambda pair: pair[0]):
        if _read(recorded, place, checked, "another content") and not tells_md5:
            break
    return checked


def _read(recorded: Recorded, place: Place, checked: Checked, finding: str) -> bool:
    """Hash an object's content and note the outcome: that it's right, or what is wrong with it."""
    is_whole = recorded.is_whole(place)
    if is_whole:
        checked.hashed.add(recorded.key)
    else:
        checked.findings[recorded.key] = finding
    return is_whole


def _raise_unless_missing(error: Exception, protocol: str) -> None:
    """Raise an error that doesn't mean that an object is missing.

    fsspec says of every failure of HTTP that the file isn't found. The cause says what happened.
    """
    if not isinstance(error, FileNotFoundError):
        raise error
    cause = error.__cause__
    if protocol in ("http", "https") and cause is not None and getattr(cause, "status", None) not in GONE:
        raise cause


def _problems(
    place: Place, objects: list[tuple[Output, list[Recorded]]], checked: Checked, *, is_storage: bool
) -> list[Problem]:
    """What is wrong in a place, by output, with what to delete there and what brings it back."""
    missing, damaged = (NOT_STORED, DAMAGED_STORE) if is_storage else (NOT_CACHED, DAMAGED_CACHE)
    problems = []
    for _, (first, *files) in objects:
        for recorded in [first, *files]:
            if recorded.key not in checked.findings:
                continue
            finding = checked.findings[recorded.key]
            to_delete = [] if finding == MISSING else [_address(place, recorded)]
            if is_storage and recorded != first and first.key in checked.present:  # the list of its folder
                to_delete.append(_address(place, first))
            problems.append(Problem(recorded, finding, to_delete, damaged if to_delete else missing))
    return problems


def _md5_of(info: dict[str, Any]) -> str | None:
    """The MD5 of an object, if S3 tells it; its ETag is something else if it was sent in parts, or is encrypted."""
    etag = str(info.get("ETag", "")).strip('"')
    return etag if MD5.fullmatch(etag) else None


def _address(place: Place, recorded: Recorded) -> str:
    """Where an object is: a file's path, or a URL."""
    fs, path = place[recorded.hash_name].fs, recorded.path_in(place)
    return os.path.relpath(path) if fs.protocol == "local" else str(fs.unstrip_protocol(path))
