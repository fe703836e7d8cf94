"""A project as DVC's API gives it: its stages, what dvc.lock records of them, their inputs and cached outputs."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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
from retrace.review.dvc_files import DVC_YAML, check_files
from retrace.review.revision import flattened

FROZEN = "frozen: DVC never runs it"
ALWAYS = "DVC always runs it"


@dataclass(frozen=True)
class Stage:
    """What dvc.lock records of a stage in dvc.yaml; a hash is None where dvc.lock has no entry.

    Attributes:
        cmd: The command.
        inputs: The hash of each dependency by its path, and the value of each parameter by its key.
        outs: The hash of each output by its path.
        why_not_judged: Why DVC runs it always or never; empty where it depends on the inputs.
    """

    cmd: str | list[str]
    inputs: dict[str, Any]
    outs: dict[str, str | None]
    why_not_judged: str


def recorded_stages(folder: Path) -> dict[str, Stage]:
    """What a folder's dvc.lock records of each stage in its dvc.yaml.

    Raises:
        UserError: DVC can't read them.
    """
    with open_project(folder) as repo:
        return {stage_name(stage): recorded_stage(stage) for stage in own_stages(repo)}


def own_stages(repo: Repo) -> list[PipelineStage]:
    """The stages in a project's own dvc.yaml, with what dvc.lock records of them."""
    return list(repo.stage.collect(str(Path(repo.root_dir) / DVC_YAML)))


@contextmanager
def open_project(folder: Path = Path(), config: dict[str, Any] | None = None, where: str = "") -> Iterator[Repo]:
    """Open a project with DVC's API.

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
        message = " ".join(str(cause).split()).replace(f"{os.path.relpath(folder)}/", "").replace("'./", "'")
        if where:
            raise UserError(where + message) from None
        if "dvc.lock'" in message:
            raise UserError(f"{message}; `make undo` brings the committed one back") from None
        raise UserError(f"{message}; `dvc repro --dry dvc.yaml` shows where") from None


def stage_name(stage: DvcStage) -> str:
    """The name as DVC prints it in the project's folder."""
    if not isinstance(stage, PipelineStage):
        return str(stage.path_in_repo)
    return str(stage.name) if stage.path_in_repo == DVC_YAML else f"{stage.path_in_repo}:{stage.name}"


def why_not_judged(stage: DvcStage) -> str:
    """Why DVC runs a stage always or never; empty where it depends on the inputs."""
    if stage.is_callback or stage.always_changed:
        return ALWAYS
    return FROZEN if stage.frozen else ""


def recorded_stage(stage: PipelineStage) -> Stage:
    """What dvc.lock records of a stage."""
    inputs: dict[str, Any] = {}
    for dep in stage.deps:
        if isinstance(dep, ParamsDependency):
            values = dep.hash_info.value if dep.hash_info else {}
            for key, value in flattened(values).items():
                inputs[param_key(dep, key)] = value
        else:
            inputs[str(dep)] = _hash(dep)
    outputs = {str(out): _hash(out) for out in stage.outs}
    return Stage(stage.cmd, inputs, outputs, why_not_judged(stage))


def _hash(entry: Output) -> str | None:
    return entry.hash_info.value if entry.hash_info else None


def param_key(dep: ParamsDependency, key: str) -> str:
    """A parameter's key, with its file if that isn't params.yaml."""
    return key if str(dep) == "params.yaml" else f"{dep}: {key}"


def require_local_dependencies(stage: DvcStage, where: str = "") -> None:
    """Check that a stage that DVC would ask depends on nothing but files here, since DVC would connect to others.

    Raises:
        UserError: it does; `where` comes before its name.
    """
    for dep in [] if stage.frozen else stage.deps:
        if dep.fs.protocol != "local":
            raise UserError(
                f"{where}{stage_name(stage)}: depends on {dep}, which isn't a file of the project: "
                "`dvc import-url` brings it in, and keeps its address"
            )


def read_inputs() -> dict[str, str]:
    """The content of dvc.yaml and of each file that its stages depend on and none of them makes, by path.

    Files are hashed. Of a file of parameters only the values that a stage depends on count.

    Raises:
        UserError: DVC can't read the pipeline.
    """
    with open_project() as repo:
        stages = own_stages(repo)
        outs = [out.fs_path for stage in stages for out in stage.outs]
        content: dict[str, list[str]] = {DVC_YAML: [Path(DVC_YAML).read_text(encoding="utf-8")]}
        for stage in stages:
            require_local_dependencies(stage)
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
    with open_project() as repo:
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
