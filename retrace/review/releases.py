"""The releases that a commit builds on: Git tags as GTO makes them, such as `houses@v1.2.0`."""

import re
from typing import NamedTuple

from retrace.errors import UserError
from retrace.git import git, head
from retrace.review.comparable import Sides, read_comparable
from retrace.review.results import Results
from retrace.review.revision import Revision

TAG = re.compile(r"(?P<name>[\w./=-]+)@v(?P<version>[\w.+-]+)(?P<taken_back>!?)(#\d+)?", re.ASCII)
SHORT = re.compile(r"\d+(\.\d+)?", re.ASCII)


def last_release(revision: Revision) -> Revision | None:
    """The last release whose commit is that of a revision or an ancestor of it; None if there is none.

    Of the releases of one name it's the one with the highest version, by semantic versioning, that wasn't taken back
    (GTO does that by a tag `NAME@VERSION!`). A version may be shorter than GTO's: v1 is v1.0.0. If a repository
    releases under several names, it's the one that the fewest commits were made after.
    """
    tip = revision.commit or head()
    if tip is None:
        return None
    tags = git("for-each-ref", f"--merged={tip}", "--format=%(refname:strip=2)", "refs/tags").splitlines()
    newest = newest_by_name(tags)
    if not newest:
        return None
    commits_since = {tag: int(git("rev-list", "--count", f"refs/tags/{tag}..{tip}")) for tag in newest}
    tag = min(newest, key=commits_since.__getitem__)
    return Revision(tag, Revision.of(f"refs/tags/{tag}").commit)


def newest_by_name(tags: list[str]) -> list[str]:
    """Of tags such as `houses@v1.2.0`, the one with the highest version of each name; other tags are ignored."""
    matches = [match for tag in sorted(tags) if (match := TAG.fullmatch(tag))]
    if not matches:
        return []
    # It comes with GTO, and is only needed where something was released.
    from semver import Version  # noqa: PLC0415

    taken_back = {match.group("name", "version") for match in matches if match["taken_back"]}
    newest: dict[str, tuple[Version, str]] = {}
    for match in matches:
        name, text = match.group("name", "version")
        try:
            version = Version.parse(text, optional_minor_and_patch=SHORT.fullmatch(text) is not None)
        except ValueError:  # a tag of another kind
            continue
        if (name, text) not in taken_back and (name not in newest or version > newest[name][0]):
            newest[name] = version, match.string
    return [tag for _, tag in newest.values()]


class Release(NamedTuple):
    """The last release.

    Attributes:
        name: Its tag.
        results: Its results; None where there is nothing to compare with.
        why_not_comparable: Why there is nothing; empty where there is.
    """

    name: str
    results: Results | None
    why_not_comparable: str


NO_RELEASE = Release("the last release", None, "there is no release yet")


def read_release(sides: Sides) -> Release:
    """The last release before a change, with its results if they can be compared.

    A release can't be fixed, so one without results, or with results that this version can't read, blocks nothing.
    """
    tag = last_release(sides.here)
    if tag is None:
        return NO_RELEASE
    try:
        return Release(tag.name, *read_comparable(sides.here, sides.results, tag, tag.name))
    except UserError as error:
        return Release(tag.name, None, f"{tag.name} can't be read: {error}")
