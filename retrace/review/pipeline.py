"""What DVC says about a revision's pipeline: which stages it would run again, and what dvc.lock records of each.

`read_pipeline` gives the answer of `dvc repro --dry --allow-missing dvc.yaml` in a checkout of the revision. Only the
project's own dvc.yaml is asked. Another dvc.yaml in a subfolder has commands of its own, which judge it.
"""

import copy
import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from dvc.dependency import ParamsDependency
from dvc.exceptions import DvcException
from dvc.output import Output
from dvc.repo import Repo
from dvc.scm import SCMError
from dvc.stage import PipelineStage
from dvc.stage import Stage as DvcStage
from dvc_data.hashfile.hash_info import HashInfo
from dvc_data.hashfile.tree import Tree
from dvc_objects.errors import ObjectFormatError

from retrace.errors import UserError
from retrace.git import git
from retrace.limits import MOST_BYTES, check_yaml
from retrace.params import local_path, read_yaml_text
from retrace.review.results import Revision, flattened

FILE = "dvc.yaml"
FROZEN = "frozen: DVC never runs it"
ALWAYS = "DVC always runs it"


@dataclass(frozen=True)
class Stage:
    """What dvc.lock records of a stage in dvc.yaml; a hash is None where dvc.lock has no entry.

    Attributes:
        cmd: The command.
        inputs: The hash of each dependency by its path, and the value of each parameter by its key.
        outs: The hash of each output by its path.
        unjudged: Why DVC runs it always or never; empty where it depends on the inputs.
    """

    cmd: str | list[str]
    inputs: dict[str, Any]
    outs: dict[str, str | None]
    unjudged: str


@dataclass(frozen=True)
class Pipeline:
    """What DVC says about a pipeline.

    Attributes:
        stages: What dvc.lock records of each stage in dvc.yaml.
        changed: The inputs, by stage, that differ from those recorded.
        edited: The outputs, by stage, that are here with another content than recorded.
        missing: The outputs, by stage, that Git should hold and does not. DVC ignores them.
        of_another_commit: The files and folders under DVC whose content here isn't the recorded one, but is in DVC's
            cache, as after `git checkout` without `dvc checkout`.
    """

    stages: dict[str, Stage]
    changed: dict[str, list[str]] = field(default_factory=dict)
    edited: dict[str, list[str]] = field(default_factory=dict)
    missing: dict[str, list[str]] = field(default_factory=dict)
    of_another_commit: list[str] = field(default_factory=list)

    @property
    def stale(self) -> dict[str, list[str]]:
        """What differs from dvc.lock, inputs first, by stage."""
        names = [*self.changed, *(name for name in self.edited if name not in self.changed)]
        return {name: self.changed.get(name, []) + self.edited.get(name, []) for name in names}


def read_pipeline(revision: Revision) -> Pipeline:
    """What DVC says about a revision, whose data need not be here.

    Raises:
        UserError: DVC can't read the pipeline, or another process holds DVC's lock.
    """
    require_local_source(
        revision.yaml("params.yaml"), f"{revision.short}:params.yaml" if revision.commit else "params.yaml"
    )
    return _inspected(Path()) if revision.commit is None else _of_commit(revision.commit)


def require_local_source(params: dict[str, Any], name: str) -> None:
    """Check that `data.source` lies in the project, since DVC would fetch it from elsewhere to compare it.

    Args:
        params: the content of params.yaml.
        name: the file, as an error names it.

    Raises:
        UserError: it lies elsewhere.
    """
    data = params.get("data")
    try:
        local_path(str(data.get("source") if isinstance(data, dict) else None))
    except ValueError as error:
        raise UserError(f"{name}: data.source: {error}") from None


def check_files(folder: Path, where: str = "") -> None:
    """Check the files that DVC is about to parse, before they could keep it busy without end or crash it.

    These are each dvc.yaml with its dvc.lock, .dvc files, and what a dvc.yaml names as variables or parameters.

    Raises:
        UserError: one is too large or deep, or holds a tag; `where` comes before its name.
    """
    files: list[Path] = []
    for parent, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if name not in (".git", ".dvc", ".venv")]
        files += [file for file in (Path(parent) / name for name in names) if file.is_file()]
    parsed = {"dvc.lock", "params.yaml"}
    for file in (file for file in files if file.name == FILE):
        parsed |= _named_files(_checked(file, where, folder))
    for file in files:
        if file.name in parsed or file.suffix == ".dvc":
            _checked(file, where, folder)


def _checked(file: Path, where: str, folder: Path) -> str:
    """The text of a YAML file, which is neither too large nor too deep."""
    name = f"{where}{file.relative_to(folder)}"
    if file.stat().st_size > MOST_BYTES:
        raise UserError(f"{name}: larger than {MOST_BYTES:,} bytes; no file of this project is")
    text = file.read_text(encoding="utf-8", errors="replace")
    with suppress(yaml.YAMLError):  # DVC says where
        check_yaml(text, name)
    return text


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _named_files(pipeline: str) -> set[str]:
    """The names, without their folders, of the files that a dvc.yaml takes variables and parameters from."""
    found: set[str] = set()
    content: list[Any] = []
    with suppress(UserError):  # DVC says where
        content.append(read_yaml_text(pipeline, FILE))
    while content:
        item = content.pop()
        if isinstance(item, dict):
            content += item.values()
            named = [*_listed(item.get("vars")), *_listed(item.get("params"))]
            for name in (name for one in named for name in (one if isinstance(one, dict) else [one])):
                found.add(Path(str(name).partition(":")[0]).name)
        elif isinstance(item, list):
            content += item
    return found


@cache
def _of_commit(commit: str) -> Pipeline:
    """What DVC says in a checkout of a commit."""
    with tempfile.TemporaryDirectory(prefix="checkout-") as folder:
        project = Path(folder) / "project"
        project.mkdir()
        # A temporary index: neither the repository's own nor its list of worktrees is touched.
        checkout = ["-c", "core.sparseCheckout=false", f"--work-tree={project}", "read-tree", "--reset", "-u", commit]
        git(*checkout, index=Path(folder) / "index")
        config = {"core": {"no_scm": True, "site_cache_dir": str(Path(folder) / "site")}}
        return _inspected(project, config, f"{commit[:8]}: ")


def read_stages(revision: Revision) -> dict[str, Stage]:
    """What a revision's dvc.lock records of each stage in its dvc.yaml.

    Raises:
        UserError: DVC can't read them.
    """
    return recorded_stages(Path()) if revision.commit is None else read_pipeline(revision).stages


def recorded_stages(folder: Path) -> dict[str, Stage]:
    """What a folder's dvc.lock records of each stage in its dvc.yaml.

    Raises:
        UserError: DVC can't read them.
    """
    with opened(folder) as repo:
        return {_name(stage): _recorded(stage) for stage in own_stages(repo)}


def own_stages(repo: Repo) -> list[PipelineStage]:
    """The stages in a project's own dvc.yaml, with what dvc.lock records of them."""
    return list(repo.stage.collect(str(Path(repo.root_dir) / FILE)))


@contextmanager
def opened(folder: Path = Path(), config: dict[str, Any] | None = None, where: str = "") -> Iterator[Repo]:
    """A project, as DVC's API has it.

    Args:
        folder: The project's folder.
        config: Settings that replace those of .dvc/config.
        where: What an error begins with; empty for the folder that the user works in.

    Raises:
        UserError: DVC can't read something in it, or another process holds DVC's lock.
    """
    if not (folder / ".dvc").is_dir():
        raise UserError(f"{where}there is no .dvc folder, so this isn't a DVC project")
    check_files(folder, where)
    try:
        with Repo(str(folder), config=config) as repo:
            yield repo
    except (DvcException, SCMError, TypeError) as error:
        cause: BaseException = error
        if isinstance(error, TypeError):
            if not str(error).startswith("Unsupported value of type"):
                raise
            cause = UserError(f"{error}; a date needs quotes")  # no other type of YAML's own is unsupported
        while cause.__cause__ and str(cause).startswith("failed to reproduce"):
            cause = cause.__cause__
        said = " ".join(str(cause).split()).replace(f"{os.path.relpath(folder)}/", "").replace("'./", "'")
        if where:
            raise UserError(where + said) from None
        if "dvc.lock'" in said:
            raise UserError(f"{said}; `make undo` brings the committed one back") from None
        raise UserError(f"{said}; `dvc repro --dry dvc.yaml` shows where") from None


def _inspected(folder: Path, config: dict[str, Any] | None = None, where: str = "") -> Pipeline:
    """What DVC says in a folder; the arguments are those of `opened`."""
    found = Pipeline({})

    def look(stage: DvcStage, upstream: list[DvcStage], **_: object) -> None:
        """Ask a stage in place of running it."""
        name = _name(stage)
        changed = stage.changed(allow_missing=True, upstream=upstream)
        if stage.path_in_repo == FILE:
            found.stages[name] = _recorded(stage)
            if gone := [str(out) for out in stage.outs if not out.use_cache and not out.exists]:
                found.missing[name] = gone
        found.of_another_commit.extend(str(out) for out in stage.outs if _is_of_another_commit(out))
        if changed and not _unjudged(stage):
            if inputs := _changed_inputs(stage, upstream):
                found.changed[name] = inputs
            if outs := _changed_outs(stage):
                found.edited[name] = outs

    with opened(folder, config, where) as repo:
        file = Path(repo.root_dir) / FILE

        def skip_other_pipelines(path: str, error: Exception) -> None:
            if Path(path).name != FILE or Path(path).resolve() == file.resolve():
                raise error

        repo.stage_collection_error_handler = skip_other_pipelines
        _require_local_dependencies(repo.index.stages, where)
        repo.reproduce(targets=[str(file)], repro_fn=look)
    return found


def _name(stage: DvcStage) -> str:
    """The name as DVC prints it in the project's folder."""
    if not isinstance(stage, PipelineStage):
        return str(stage.path_in_repo)
    return str(stage.name) if stage.path_in_repo == FILE else f"{stage.path_in_repo}:{stage.name}"


def _unjudged(stage: DvcStage) -> str:
    """Why DVC runs a stage always or never; empty where it depends on the inputs."""
    if stage.is_callback or stage.always_changed:
        return ALWAYS
    return FROZEN if stage.frozen else ""


def _recorded(stage: PipelineStage) -> Stage:
    inputs: dict[str, Any] = {}
    for dep in stage.deps:
        if isinstance(dep, ParamsDependency):
            values = dep.hash_info.value if dep.hash_info else {}
            inputs |= {_key(dep, key): value for key, value in flattened(values).items()}
        else:
            inputs[str(dep)] = _hash(dep)
    return Stage(stage.cmd, inputs, {str(out): _hash(out) for out in stage.outs}, _unjudged(stage))


def _hash(entry: Output) -> str | None:
    return entry.hash_info.value if entry.hash_info else None


def _key(dep: ParamsDependency, key: str) -> str:
    return key if str(dep) == "params.yaml" else f"{dep}: {key}"


def _changed_inputs(stage: DvcStage, upstream: list[DvcStage]) -> list[str]:
    """The inputs that differ from those in dvc.lock, each one asked alone."""
    if not any(entry.hash_info for entry in [*stage.deps, *stage.outs]):
        return ["never run"]
    found = ["cmd"] if stage.changed_stage() else []
    alone = copy.copy(stage)
    for dep in stage.deps:
        alone.deps = [dep]
        if alone.changed_deps(allow_missing=True, upstream=upstream):
            found += _changed_params(dep) if isinstance(dep, ParamsDependency) else [str(dep)]
    return found


def _changed_params(dep: ParamsDependency) -> list[str]:
    """The keys of a file of parameters whose values differ from those in dvc.lock."""
    status = dep.status()[str(dep)]
    if isinstance(status, str):  # the whole file is missing or new
        return [str(dep)]
    found = []
    for key in status:
        before, after = (flattened({key: side.get(key)}) for side in (dep.hash_info.value, dep.read_params()))
        inner = [inner for inner in sorted(before | after) if before.get(inner) != after.get(inner)]
        found += [_key(dep, name) for name in inner or [key]]
    return found


def _changed_outs(stage: DvcStage) -> list[str]:
    """The outputs that are here with another content than in dvc.lock."""
    found = []
    alone = copy.copy(stage)
    for out in stage.outs:
        alone.outs = [out]
        if alone.changed_outs(allow_missing=True):
            found.append(str(out))
    return found


def _require_local_dependencies(stages: Iterable[DvcStage], where: str = "") -> None:
    """Check that no stage that DVC would ask depends on what isn't a file here, since DVC would connect to it.

    Raises:
        UserError: one does; `where` comes before its name.
    """
    for stage in stages:
        for dep in [] if stage.frozen else stage.deps:
            if dep.fs.protocol != "local":
                raise UserError(
                    f"{where}{_name(stage)}: depends on {dep}, which isn't a file of the project: "
                    "`dvc import-url` brings it in, and keeps its address"
                )


def _is_of_another_commit(out: Output) -> bool:
    """Whether an output is here with another content than recorded, one that DVC's cache holds, too."""
    if not (out.use_cache and out.hash_info and out.exists and out.changed_checksum()):
        return False
    return bool(out.cache.exists(out.get_hash().value))


def read_inputs() -> dict[str, str]:
    """The content of dvc.yaml and of each file that its stages depend on and none of them makes, by path.

    Files are hashed. Of a file of parameters only the values that a stage depends on count.

    Raises:
        UserError: DVC can't read the pipeline.
    """
    with opened() as repo:
        stages = own_stages(repo)
        _require_local_dependencies(stages)
        outs = [out.fs_path for stage in stages for out in stage.outs]
        content: dict[str, list[str]] = {FILE: [Path(FILE).read_text(encoding="utf-8")]}
        for stage in stages:
            for dep in stage.deps:
                if any(dep.fs.isin_or_eq(dep.fs_path, out) for out in outs):
                    continue
                values = content.setdefault(str(dep), [])
                if isinstance(dep, ParamsDependency):
                    values.append(repr(dep.read_params()))
                elif dep.exists:
                    dep.update_legacy_hash_name(force=True)  # DVC hashes what dvc.lock doesn't have yet as DVC 2 did
                    values.append(str(dep.get_hash()))
    return {path: "\n".join(values) for path, values in content.items()}


def cached_files(path: str, md5: str | None) -> dict[str, Path | None]:
    """Where this project's cache holds an output, by file; None for a file that it lacks. No remote is asked.

    Args:
        path: The output: a file or a folder.
        md5: The hash in dvc.lock, which ends in `.dir` for a folder.
    """
    if md5 is None:
        return {path: None}
    with opened() as repo:
        # The legacy cache holds what DVC 2 made, whose hashes have another name.
        odb = next((odb for odb in (repo.cache.local, repo.cache.legacy) if odb.exists(md5)), repo.cache.local)
        hashes = {path: md5}
        if md5.endswith(".dir"):
            try:
                tree = Tree.load(odb, HashInfo(odb.hash_name, md5))
            except (OSError, ValueError, ObjectFormatError):
                return {path: None}
            hashes = {"/".join([path, *key]): hash_info.value for key, _, hash_info in tree}
        places = {name: Path(odb.oid_to_path(value)) for name, value in hashes.items()}
        return {name: place if place.is_file() else None for name, place in places.items()}
