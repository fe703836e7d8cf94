"""What pydantic finds wrong with a section, as one line that names the keys."""

import json
import re
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from retrace.errors import UserError


def params_error(error: ValidationError, content: Any, file: Path, *section: str) -> UserError:
    """What pydantic found wrong with a section's content, as one line that names the keys.

    Unknown and missing keys come together, since the one is often the other mistyped; then the first other mistake.
    """
    names: dict[str, list[str]] = {"unknown": [], "missing": []}
    others: dict[str, str] = {}
    for detail in error.errors():
        missing = detail["type"].startswith("missing")
        key = ".".join([*section, *_key(detail["loc"], content, missing)])
        if missing or detail["type"] in ("extra_forbidden", "unexpected_keyword_argument"):
            names["missing" if missing else "unknown"].append(key)
        else:
            others.setdefault(key, _mistake(detail))
    told = [f"{', '.join(keys)}: {kind} key{'s' if len(keys) > 1 else ''}" for kind, keys in names.items() if keys]
    if not told:
        key, what = next(iter(others.items()))
        more = f" (and {len(others) - 1} more)" if len(others) > 1 else ""
        told = [f"{key}: {what}{more}" if key else what]
    return UserError(f"{file}: {' '.join('; '.join(told).split())}")  # a key may hold a line break


def _mistake(detail: ErrorDetails) -> str:
    """What one of pydantic's errors says must be, and what stands there instead."""
    if detail["type"] == "value_error":
        return detail["msg"].removeprefix("Value error, ")
    context, value = detail.get("ctx", {}), detail["input"]
    if detail["type"] == "union_tag_not_found":
        return f"the key {context['discriminator']} is missing"
    if detail["type"] == "union_tag_invalid":
        return f"{context['discriminator']} must be one of {context['expected_tags']}, not {json.dumps(context['tag'])}"
    found = f", not {json.dumps(value)}" if isinstance(value, str | int | float | None) else ""
    return re.sub(r"^(Input|String) should", "must", detail["msg"]) + found


def _key(location: tuple[int | str, ...], content: Any, missing: bool) -> list[str]:
    """Where pydantic found an error, without what isn't a key of the file: the names of a union's members."""
    key = []
    for part in location[: len(location) - missing]:
        if (isinstance(content, dict) and part in content) or (isinstance(content, list) and isinstance(part, int)):
            content = content[part]  # type: ignore[index]  # a list's part is an int, as the line above says
            key.append(str(part))
    return [*key, str(location[-1])] if missing else key
