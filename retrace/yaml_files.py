"""YAML as DVC reads it (YAML 1.2), with limits for text that a pull request brings."""

import re
from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml

from retrace.errors import UserError
from retrace.limits import MOST_BYTES, check_yaml


class _Loader(yaml.CSafeLoader):
    """Reads YAML 1.2 as DVC does: `yes` is text, a duplicate key an error. libyaml makes it ten times as fast."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise yaml.MarkedYAMLError(problem="a key must be a single word or number", problem_mark=key.start_mark)
            if key.value in seen:
                raise yaml.MarkedYAMLError(problem=f"duplicate key {key.value}", problem_mark=key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep)


class Dumper(yaml.CSafeDumper):
    """Writes YAML, and quotes text that YAML 1.1 or 1.2 would read as another type. Three times as fast by libyaml."""


_CORE = {  # YAML 1.2's core schema
    "bool": ("tTfF", r"true|True|TRUE|false|False|FALSE"),
    "int": ("-+0123456789", r"[-+]?(0|[1-9][\d_]*)"),
    "float": ("-+.0123456789", r"[-+]?(\.\d+|\d+\.\d*)([eE][-+]?\d+)?|[-+]?\d+[eE][-+]?\d+|[-+]?\.inf|\.nan"),
}
_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag.rpartition(":")[2] not in _CORE]
    for first, resolvers in yaml.CSafeLoader.yaml_implicit_resolvers.items()
}
for _name, (_first, _pattern) in _CORE.items():
    for _class in (_Loader, Dumper):
        _class.add_implicit_resolver(f"tag:yaml.org,2002:{_name}", re.compile(rf"^(?:{_pattern})$"), list(_first))


def read_yaml(file: Path) -> Any:
    """The content of a YAML file.

    Raises:
        UserError: it's missing, not UTF-8, not YAML, or has a key twice.
    """
    try:
        if file.stat().st_size > MOST_BYTES:
            raise UserError(f"{file}: larger than {MOST_BYTES:,} bytes; no file of this project is")
        return read_yaml_text(file.read_text(encoding="utf-8"), str(file))
    except FileNotFoundError:
        raise UserError(f"{file}: no such file; run from the project's folder, or `git restore {file}`") from None
    except UnicodeDecodeError:
        raise UserError(f"{file}: not text in UTF-8; save it as such") from None


def read_yaml_text(text: str, name: str) -> Any:
    """The content of YAML text that comes from `name`.

    Raises:
        UserError: it isn't YAML, has a key twice, or is too large or deep.
    """
    try:
        check_yaml(text, name)
        return yaml.load(text, Loader=_Loader)  # noqa: S506  # a SafeLoader
    except yaml.MarkedYAMLError as error:
        line = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise UserError(f"{name}{line}: not valid YAML, here or just before: {error.problem}") from None
    except (yaml.YAMLError, ValueError) as error:
        raise UserError(f"{name}: not valid YAML: {' '.join(str(error).split())}") from None
