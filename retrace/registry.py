"""Versions and what is in production, as Git tags in GTO's form.

`NAME@v1.2.0` is a release, and `NAME#prod#3` is the third deployment to the stage `prod`. So the history of what was in
production is in the repository, with who changed it and why.
"""

from typing import Any, NamedTuple

from retrace.errors import UserError
from retrace.git import git

PROD = "prod"


class Event(NamedTuple):
    """A release or a deployment.

    Attributes:
        time: when, in UTC, to the minute.
        what: `released`, or `deployed to STAGE`.
        version: such as v1.2.0.
        author: who.
        message: why.
    """

    time: str
    what: str
    version: str
    author: str
    message: str


class Identity(NamedTuple):
    """The name and the e-mail address of the user."""

    name: str
    address: str


def parse_version(text: str) -> str:
    """A version in GTO's form, such as v1.2.0.

    Raises:
        UserError: it isn't three numbers, which an ending such as -rc.1 may follow.
    """
    from semver import Version  # noqa: PLC0415  # it comes with GTO, and only a release needs it

    try:
        return f"v{Version.parse(text.removeprefix('v'))}"
    except ValueError:
        raise UserError(f"VERSION {text}: must be three numbers, such as 1.0.0 or 1.0.0-rc.1") from None


def versions(name: str) -> list[str]:
    """The versions of a model, the latest first."""
    from gto import api, exceptions  # noqa: PLC0415  # slow to import

    try:
        found: list[dict[str, Any]] = api.show(".", name, registered_only=True, sort="SemVer")
    except exceptions.ArtifactNotFound:
        return []
    return [each["version"] for each in found]


def require_later(name: str, version: str) -> None:
    """Check that a version is later than every version of a model.

    Raises:
        UserError: it isn't.
    """
    from semver import Version  # noqa: PLC0415

    present = [Version.parse(each.removeprefix("v")) for each in versions(name)]
    if present and Version.parse(version.removeprefix("v")) <= max(present):
        raise UserError(f"VERSION {version}: must be later than v{max(present)}, the last version of {name}")


def register(name: str, version: str, message: str) -> str:
    """Tag the commit as a version of a model; returns the tag."""
    from gto import api  # noqa: PLC0415

    who = identity()
    api.register(".", name, "HEAD", version=version, message=message, author=who.name, author_email=who.address)
    return f"{name}@{version}"


def assign(name: str, version: str, stage: str, message: str) -> str:
    """Tag a version as deployed to a stage; returns the tag.

    Raises:
        UserError: there is no such version.
    """
    from gto import api  # noqa: PLC0415

    who, present = identity(), versions(name)
    if version not in present:
        raise UserError(f"VERSION {version}: {name} has no such version; it has {', '.join(present) or 'none'}")
    event = api.assign(
        ".",
        name,
        stage,
        version=version,
        message=message,
        force=True,  # a version may come back
        skip_registration=True,
        author=who.name,
        author_email=who.address,
    )
    return str(event.ref)


def in_stage(name: str, stage: str) -> list[str]:
    """The versions that a stage had, the present one last, without those that were rolled back."""
    from gto import api  # noqa: PLC0415

    deployments = [found for found in api.history(".", name) if found["stage"] == stage]
    deployments.sort(key=lambda found: int(found["ref"].rpartition("#")[2]))  # NAME#STAGE#NUMBER
    versions: list[str] = []
    for found in deployments:
        if found["version"] in versions:  # back to it
            del versions[versions.index(found["version"]) + 1 :]
        else:
            versions.append(found["version"])
    return versions


def history(name: str) -> list[Event]:
    """The releases and deployments of a model, the last first."""
    from gto import api  # noqa: PLC0415

    events = []
    for found in api.history(".", name):
        what = "released" if found["event"] == "registration" else f"deployed to {found['stage']}"
        when = f"{found['timestamp']:%Y-%m-%d %H:%M}"
        events.append(Event(when, what, found["version"], found["author"], found["message"].strip()))
    return events


def identity() -> Identity:
    """The user, by Git: GTO doesn't read Git's environment variables.

    Raises:
        UserError: Git doesn't know the name or the address.
    """
    try:
        name, _, rest = git("var", "GIT_COMMITTER_IDENT").rpartition(" <")
    except UserError:
        advice = "`git config user.name NAME` and `git config user.email ADDRESS`"
        raise UserError(f"Git doesn't know your name; {advice}") from None
    return Identity(name, rest.partition(">")[0])
