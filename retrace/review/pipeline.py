"""What DVC says about a revision's pipeline: which stages it would run again, and what dvc.lock records of each.

`read_pipeline` gives the answer of `dvc repro --dry --allow-missing dvc.yaml` in a checkout of the revision. Only the
project's own dvc.yaml is asked. Another dvc.yaml in a subfolder has commands of its own, which judge it.
"""

import copy
import tempfile
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from dvc.dependency import ParamsDependency
from dvc.output import Output
from dvc.stage import Stage as DvcStage

from retrace.git import git
from retrace.review.dvc_files import DVC_YAML, require_local_source
from retrace.review.dvc_project import (
    FROZEN,
    Stage,
    open_project,
    param_key,
    recorded_stage,
    recorded_stages,
    require_local_dependencies,
    stage_name,
    why_not_judged,
)
from retrace.review.revision import Revision, flattened


@dataclass(frozen=True)
class Pipeline:
    """What DVC says about a pipeline.

    Attributes:
        stages: What dvc.lock records of each stage in dvc.yaml.
        changed_inputs: The inputs, by stage, that differ from those recorded.
        edited_outputs: The outputs, by stage, that are here with another content than recorded.
        missing_outputs: The outputs, by stage, that Git should hold and does not. DVC ignores them.
        of_another_commit: The files and folders under DVC whose content here isn't the recorded one, but is in DVC's
            cache, as after `git checkout` without `dvc checkout`.
    """

    stages: dict[str, Stage]
    changed_inputs: dict[str, list[str]] = field(default_factory=dict)
    edited_outputs: dict[str, list[str]] = field(default_factory=dict)
    missing_outputs: dict[str, list[str]] = field(default_factory=dict)
    of_another_commit: list[str] = field(default_factory=list)

    @property
    def stale_stages(self) -> dict[str, list[str]]:
        """What differs from dvc.lock by stage, inputs before outputs; stages with changed inputs come first."""
        stale = {name: list(inputs) for name, inputs in self.changed_inputs.items()}
        for name, outputs in self.edited_outputs.items():
            stale[name] = stale.get(name, []) + outputs
        return stale


def read_pipeline(revision: Revision) -> Pipeline:
    """What DVC says about a revision, whose data need not be here.

    Raises:
        UserError: DVC can't read the pipeline, or another process holds DVC's lock.
    """
    name = f"{revision.short}:params.yaml" if revision.commit else "params.yaml"
    require_local_source(revision.yaml("params.yaml"), name)
    return _inspect(Path()) if revision.commit is None else _inspect_commit(revision.commit)


@cache
def _inspect_commit(commit: str) -> Pipeline:
    """What DVC says in a checkout of a commit."""
    with tempfile.TemporaryDirectory(prefix="checkout-") as folder:
        project = Path(folder) / "project"
        project.mkdir()
        # A temporary index: neither the repository's own nor its list of worktrees is touched.
        checkout = ["-c", "core.sparseCheckout=false", f"--work-tree={project}", "read-tree", "--reset", "-u", commit]
        git(*checkout, index=Path(folder) / "index")
        config = {"core": {"no_scm": True, "site_cache_dir": str(Path(folder) / "site")}}
        return _inspect(project, config, f"{commit[:8]}: ")


def read_stages(revision: Revision) -> dict[str, Stage]:
    """What a revision's dvc.lock records of each stage in its dvc.yaml.

    Raises:
        UserError: DVC can't read them.
    """
    return recorded_stages(Path()) if revision.commit is None else read_pipeline(revision).stages


def frozen_stages(revision: Revision) -> list[str]:
    """The stages that DVC never runs, whose outputs come from the cache.

    Raises:
        UserError: DVC can't read the pipeline.
    """
    return [name for name, stage in read_stages(revision).items() if stage.why_not_judged == FROZEN]


def _inspect(folder: Path, config: dict[str, Any] | None = None, where: str = "") -> Pipeline:
    """What DVC says in a folder; the arguments are those of `open_project`."""
    pipeline = Pipeline({})

    def inspect_stage(stage: DvcStage, upstream: list[DvcStage], **_: object) -> None:
        """Record what has changed in a stage, which DVC would run here."""
        require_local_dependencies(stage, where)
        name = stage_name(stage)
        changed = stage.changed(allow_missing=True, upstream=upstream)
        if stage.path_in_repo == DVC_YAML:
            pipeline.stages[name] = recorded_stage(stage)
            if missing := [str(out) for out in stage.outs if not out.use_cache and not out.exists]:
                pipeline.missing_outputs[name] = missing
        pipeline.of_another_commit.extend(str(out) for out in stage.outs if _is_of_another_commit(out))
        if changed and not why_not_judged(stage):
            if inputs := _changed_inputs(stage, upstream):
                pipeline.changed_inputs[name] = inputs
            if outputs := _edited_outputs(stage):
                pipeline.edited_outputs[name] = outputs

    with open_project(folder, config, where) as repo:
        file = Path(repo.root_dir) / DVC_YAML

        def skip_other_pipelines(path: str, error: Exception) -> None:
            if Path(path).name != DVC_YAML or Path(path).resolve() == file.resolve():
                raise error

        repo.stage_collection_error_handler = skip_other_pipelines
        repo.reproduce(targets=[str(file)], repro_fn=inspect_stage)
    return pipeline


def _changed_inputs(stage: DvcStage, upstream: list[DvcStage]) -> list[str]:
    """The inputs that differ from those in dvc.lock. DVC only says whether any does, so it's asked for each alone."""
    if not any(entry.hash_info for entry in [*stage.deps, *stage.outs]):
        return ["never run"]
    changed = ["cmd"] if stage.changed_stage() else []
    single = copy.copy(stage)
    for dep in stage.deps:
        single.deps = [dep]
        if single.changed_deps(allow_missing=True, upstream=upstream):
            changed += _changed_params(dep) if isinstance(dep, ParamsDependency) else [str(dep)]
    return changed


def _changed_params(dep: ParamsDependency) -> list[str]:
    """The keys of a file of parameters whose values differ from those in dvc.lock."""
    status = dep.status()[str(dep)]
    if isinstance(status, str):  # the whole file is missing or new
        return [str(dep)]
    recorded, current = dep.hash_info.value, dep.read_params()
    changed = []
    for key in status:
        before, after = flattened({key: recorded.get(key)}), flattened({key: current.get(key)})
        inner_keys = [inner for inner in sorted(before | after) if before.get(inner) != after.get(inner)]
        changed += [param_key(dep, inner) for inner in inner_keys or [key]]
    return changed


def _edited_outputs(stage: DvcStage) -> list[str]:
    """The outputs that are here with another content than in dvc.lock."""
    edited = []
    single = copy.copy(stage)
    for out in stage.outs:
        single.outs = [out]
        if single.changed_outs(allow_missing=True):
            edited.append(str(out))
    return edited


def _is_of_another_commit(out: Output) -> bool:
    """Whether an output has another content than dvc.lock records, and DVC's cache has this content, too."""
    if not (out.use_cache and out.hash_info and out.exists and out.changed_checksum()):
        return False
    return bool(out.cache.exists(out.get_hash().value))
