"""How often a release has looked at the rows of test.

Scores on test are honest as long as nobody chooses by them. So each look is recorded in `release/openings.json`, also
when the release then fails. A rerun that verifies a release doesn't count, because it brings no new choice.
"""

import json
from pathlib import Path

from retrace.errors import UserError
from retrace.files import write_json

FILE = Path("release/openings.json")


def read_openings() -> list[dict[str, str]]:
    """The version and the fingerprint of the rows of each look at test, the first one first.

    Raises:
        UserError: the file is damaged.
    """
    if not FILE.exists():
        return []
    try:
        openings = json.loads(FILE.read_text(encoding="utf-8"))["openings"]
        return [{"version": str(each["version"]), "fingerprint": str(each["fingerprint"])} for each in openings]
    except (ValueError, KeyError, TypeError):
        raise UserError(f"{FILE}: damaged; `git restore {FILE}` brings the committed one back") from None


def record_opening(version: str, fingerprint: str) -> None:
    """Record that the rows of test with this fingerprint are looked at for a version."""
    opening = {"version": version, "fingerprint": fingerprint}
    write_json({"openings": [*read_openings(), opening]}, FILE)


def versions_opened_for(fingerprint: str) -> list[str]:
    """The versions for which the rows with this fingerprint have been looked at, one for each look."""
    return [opening["version"] for opening in read_openings() if opening["fingerprint"] == fingerprint]
