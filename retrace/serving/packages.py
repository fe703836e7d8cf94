"""Where a released model comes from: a stage, a version, or a file."""

import hashlib
import io
import json
import os
import shutil
import tempfile
import zipfile
from pathlib import Path
from typing import NamedTuple

import yaml

from retrace import registry
from retrace.errors import UserError
from retrace.files import replacing
from retrace.git import git
from retrace.params import read_params

FOLDER = Path("predictions/packages")  # packages of versions, and unpacked ones
PACKAGE, LOCK = "release/model.zip", "release/dvc.lock"
COPY = "model.zip"  # in the folder of an unpacked package


class Released(NamedTuple):
    """A package of a model.

    Attributes:
        path: of the file.
        name: of the model.
        version: such as v1.2.0; None if no tag of this repository has this file.
        commit: of the version.
        sha256: the hash of the file.
    """

    path: Path
    name: str
    version: str | None
    commit: str | None
    sha256: str

    @property
    def title(self) -> str:
        """How messages call it."""
        return f"{self.name} {self.label}"

    @property
    def label(self) -> str:
        """Its version, or the beginning of its hash if it has none."""
        return self.version or self.sha256[:12]


def find_package(model: str) -> Released:
    """The package that a user names.

    Args:
        model: a stage such as prod, a version such as 1.2.0, or the path of a package.

    Raises:
        UserError: there is no such package, or its file isn't available.
    """
    if model.endswith(".zip"):
        return from_file(Path(model))
    name = read_params().problem.name
    if model[:1].isdigit() or (model[:1] == "v" and model[1:2].isdigit()):
        return from_version(name, registry.parse_version(model))
    deployed = registry.in_stage(name, model)
    if not deployed:
        advice = f"`make deploy VERSION=1.0.0 STAGE={model}` puts one there; or name a version or a model.zip"
        raise UserError(f"{model}: no version of {name} is in this stage; {advice}")
    return from_version(name, deployed[-1])


def from_file(path: Path) -> Released:
    """The package in a file, with its version if a tag of this repository records the file.

    Raises:
        UserError: it isn't a package.
    """
    try:
        content = path.read_bytes()
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            name = json.loads(archive.read("model.json"))["name"]
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; `make release VERSION=1.0.0` makes release/model.zip") from None
    except (OSError, ValueError, KeyError, zipfile.BadZipFile):
        raise UserError(f"{path}: not a whole model package; get it again") from None
    return released(path, name, version_of(name, md5_of(content)), content)


def released(path: Path, name: str, version: str | None, content: bytes) -> Released:
    """A package with the commit of its version and the hash of its content."""
    commit = git("rev-list", "-1", f"refs/tags/{name}@{version}") if version else None
    return Released(path, name, version, commit, hashlib.sha256(content).hexdigest())


def md5_of(content: bytes) -> str:
    """The hash by which DVC knows a file."""
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def version_of(name: str, md5: str) -> str | None:
    """The version whose package has this hash; None outside of a repository, or where Git isn't installed."""
    try:
        git("rev-parse", "--git-dir")
    except UserError:
        return None
    for version in registry.versions(name):
        if recorded_md5(name, version) == md5:
            return version
    return None


def recorded_md5(name: str, version: str) -> str | None:
    """The hash of a version's package in its release/dvc.lock; None if the tag has no such file."""
    try:
        lock = yaml.safe_load(git("show", f"refs/tags/{name}@{version}:{LOCK}"))
    except UserError:
        return None
    outs = lock.get("stages", {}).get("package", {}).get("outs", [])
    return next((out["md5"] for out in outs if out["path"] == PACKAGE), None)


def from_version(name: str, version: str) -> Released:
    """The package of a version, from DVC's cache or remote storage.

    Raises:
        UserError: there is no such version, or neither has the file.
    """
    if version not in (present := registry.versions(name)):
        raise UserError(f"VERSION {version}: {name} has no such version; it has {', '.join(present) or 'none'}")
    tag = f"{name}@{version}"
    path, recorded = FOLDER / f"{tag}.zip", recorded_md5(name, version)
    content = path.read_bytes() if path.is_file() else b""
    if md5_of(content) != recorded:
        fetch(tag, path)
        content = path.read_bytes()
    if md5_of(content) != recorded:
        path.unlink()
        raise UserError(f"{tag}: what DVC's storage has is not the package that {LOCK} records; push it there again")
    return released(path, name, version, content)


def fetch(tag: str, path: Path) -> None:
    """Copy the package of a release to a path.

    Raises:
        UserError: neither the cache nor the storage has it.
    """
    import dvc.api  # noqa: PLC0415  # slow to import, and not needed for a file
    from dvc.exceptions import DvcException  # noqa: PLC0415

    try:
        with (
            replacing(path) as part,
            dvc.api.open(PACKAGE, rev=f"refs/tags/{tag}", mode="rb") as source,
            part.open("wb") as target,
        ):
            shutil.copyfileobj(source, target)
    except (DvcException, OSError) as error:
        reason = str(error).partition("\n")[0]
        advice = "`dvc pull` needs access to the storage that the release was pushed to"
        raise UserError(f"{tag}: {PACKAGE} is neither in DVC's cache nor in its storage ({reason}); {advice}") from None


def unpack(package: Released) -> Path:
    """Unpack the code of a package into a folder, with a copy of its model.zip; returns the folder.

    The copy is what runs, because the file may be replaced while it's served. Python compiles the code there once.

    Raises:
        UserError: the file has been replaced already.
    """
    folder = FOLDER / package.sha256
    if not folder.is_dir():
        content = package.path.read_bytes()
        if hashlib.sha256(content).hexdigest() != package.sha256:
            raise UserError(f"{package.path}: the file has just been replaced; try again")
        FOLDER.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=FOLDER, ignore_cleanup_errors=True) as name:
            part = Path(name) / "part"
            with zipfile.ZipFile(io.BytesIO(content)) as archive:
                archive.extractall(part, [member for member in archive.namelist() if member.endswith(".py")])
            (part / COPY).write_bytes(content)
            try:
                part.rename(folder)
            except OSError:
                if not folder.is_dir():  # otherwise another process was faster
                    raise
    return folder.absolute()


def environment() -> dict[str, str]:
    """The environment variables of a process that runs a package.

    PYTHONPATH is left out, so that it imports the package's code and not this folder's. OMP_NUM_THREADS is 1 by
    default: on a busy machine, boosting's threads wait for each other longer than they save.
    """
    others = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return {"OMP_NUM_THREADS": "1"} | others
