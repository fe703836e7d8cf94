"""Is everything that dvc.lock and the .dvc files name in the storage, and whole?

    python -m retrace verify

Nothing is downloaded but the lists of what is in folders. A storage says how large each object is, and S3 mostly says
its MD5, which is the object's name. What is in the cache of this clone, or in a storage that is a folder, is hashed.
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
HASH_NAMES = ("md5", "md5-dos2unix")  # what DVC 2 made has the second one
PUSH = "`make push` (or `dvc push`) in a clone that has the files"
NOT_STORED = f"missing in the storage: {PUSH}; `dvc repro --force STAGE` makes a stage's outputs again"
DAMAGED_STORE = (
    "wrong in the storage: delete there what the last column names, since DVC replaces no object, and takes a folder "
    f"whose list is there for complete; then {PUSH}"
)
NOT_CACHED = (
    "missing in the cache, and there is no storage: `dvc repro` makes a stage's outputs again; "
    "`dvc add FILE` keeps a file that is here"
)
DAMAGED_CACHE = (
    "wrong in the cache: delete what the last column names, and the file in the project; then `dvc pull`, or without a "
    "storage `dvc repro`"
)

Place = dict[str, HashFileDB]  # the storage or the cache: DVC's databases by the name of the hash


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
    """What was found in the storage or in the cache.

    Attributes:
        present: The bytes of each object that is there, by its hash.
        hashed: The hashes of the objects whose content is known to have it.
        problems: What is wrong.
    """

    present: dict[str, int]
    hashed: set[str]
    problems: list[Problem]


def verify(words: list[str]) -> None:
    """Check that the storage has all that dvc.lock and the .dvc files name, whole, without downloading it.

    What is in the cache of this clone is checked, too. Without a storage, the cache must have everything.
    """
    parser = make_parser("verify", str(verify.__doc__))
    parser.add_argument("--remote", metavar="NAME", help="the storage to check, if not DVC's default one")
    named = parser.parse_args(words).remote
    problems: list[Problem] = []
    with open_project() as repo:
        for remote, outs in _outs_by_remote(repo, named).items():
            problems += _check_outs(repo, remote, outs)
    if problems:
        print()
        rows = [[p.recorded.path, p.recorded.stage, p.finding, " ".join(p.to_delete)] for p in problems]
        print_table((["file", "stage", "problem", "delete"], rows))
        raise UserError(*dict.fromkeys(problem.advice for problem in problems))


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
            in_storage = _check(storage, objects, is_storage=True)
    except Exception as error:  # each kind of storage has its own exceptions
        reason = f"{type(error).__name__}: {' '.join(str(error).split())}"
        raise UserError(f"remote {remote}: {reason}; check its address, the network and your credentials") from None
    in_cache = _check(cache, objects, is_storage=False)
    hashes = {recorded.hash for _, members in objects for recorded in members}
    if not in_storage:
        _print_counts("cache", hashes, in_cache)
        return in_cache.problems
    _print_counts(f"remote {remote}", hashes, in_storage)
    _print_counts("cache", hashes, in_cache)
    damaged_in_cache = [problem for problem in in_cache.problems if problem.finding != MISSING]
    return in_storage.problems + damaged_in_cache


def _print_counts(name: str, hashes: set[str], checked: Checked) -> None:
    total = sum(checked.present.values())
    print(
        one_line(
            f"{name}: {len(checked.present):,} of {len(hashes):,} objects, {total:,} bytes; "
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


def _check(place: Place, objects: list[tuple[Output, list[Recorded]]], *, is_storage: bool) -> Checked:
    """Look for the objects of each output, and compare what can be compared."""
    missing, damaged = (NOT_STORED, DAMAGED_STORE) if is_storage else (NOT_CACHED, DAMAGED_CACHE)
    present, hashed, findings = _look_for([recorded for _, members in objects for recorded in members], place)
    checked = Checked(present, hashed, [])
    for out, (folder, *files) in objects:
        if finding := _wrong_total(out, files, present, findings):
            findings[folder] = finding
        for recorded in [folder, *files]:
            if recorded not in findings:
                continue
            to_delete = [] if findings[recorded] == MISSING else [_address(place, recorded)]
            if is_storage and recorded != folder and folder.hash in present:
                to_delete.append(_address(place, folder))
            advice = damaged if to_delete else missing
            checked.problems.append(Problem(recorded, findings[recorded], to_delete, advice))
    return checked


def _look_for(objects: list[Recorded], place: Place) -> tuple[dict[str, int], set[str], dict[Recorded, str]]:
    """The bytes of the objects that a place has, by hash; the hashes that are known to be right; and what is wrong."""
    present: dict[str, int] = {}
    hashed: set[str] = set()
    findings: dict[Recorded, str] = {}
    to_hash: list[Recorded] = []
    with_other_md5: list[Recorded] = []
    fs = place["md5"].fs
    infos = fs.info([recorded.path_in(place) for recorded in objects], return_exceptions=True)
    for recorded, info in zip(objects, infos, strict=True):
        if isinstance(info, FileNotFoundError):
            findings[recorded] = MISSING
            continue
        if isinstance(info, Exception):
            raise info
        present[recorded.hash] = info["size"]
        told = _md5_of(info)
        if recorded.size is not None and recorded.size != info["size"]:
            findings[recorded] = f"{info['size']:,} bytes in place of {recorded.size:,}"
        elif told == recorded.md5:
            hashed.add(recorded.hash)
        elif recorded.is_list or fs.protocol == "local":
            to_hash.append(recorded)
        elif told:
            with_other_md5.append(recorded)
    if hashed:  # else the storage encrypts, and what looks like an MD5 isn't that of the content
        to_hash += with_other_md5
    for recorded in to_hash:
        if recorded.is_whole(place):
            hashed.add(recorded.hash)
        else:
            findings[recorded] = "another content"
    return present, hashed, findings


def _md5_of(info: dict[str, Any]) -> str | None:
    """The MD5 of an object, if S3 tells it; its ETag is something else if it was sent in parts, or is encrypted."""
    etag = str(info.get("ETag", "")).strip('"')
    return etag if MD5.fullmatch(etag) else None


def _address(place: Place, recorded: Recorded) -> str:
    """Where an object is: a file's path, or a URL."""
    fs, path = place[recorded.hash_name].fs, recorded.path_in(place)
    return os.path.relpath(path) if fs.protocol == "local" else str(fs.unstrip_protocol(path))


def _wrong_total(out: Output, files: list[Recorded], present: dict[str, int], findings: dict[Recorded, str]) -> str:
    """How many bytes the files of a folder have together, if nothing else is wrong and it isn't what is recorded."""
    if not files or out.meta.size is None or any(file in findings for file in files):
        return ""
    total = sum(present[file.hash] for file in files)
    return "" if total == out.meta.size else f"its files have {total:,} bytes in place of {out.meta.size:,}"
