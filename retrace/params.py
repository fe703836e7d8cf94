"""params.yaml, read and checked as a whole.

Types are strict but for one thing: YAML 1.1 reads `1e-05` as text, so text that is a number counts as one.
"""

import json
import re
from collections import Counter
from collections.abc import Hashable
from datetime import UTC, date, datetime
from pathlib import Path, PureWindowsPath
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)
from pydantic_core import ErrorDetails

from retrace.errors import UserError
from retrace.limits import MOST_BYTES, check_yaml

FILE = Path("params.yaml")


def as_number(value: object) -> object:
    """Text such as `1e-05` as the number it is; anything else as it was."""
    try:
        return float(value) if isinstance(value, str) else value
    except ValueError:
        return value


def _moment(value: object) -> object:
    """A number, or a date such as `2013-09-01` as the moment it names, in UTC where it names a zone."""
    try:
        if not isinstance(value, date):
            number = as_number(value)
            if not isinstance(number, str):
                return number
        moment = datetime.fromisoformat(str(value))
        return moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment
    except ValueError:
        raise ValueError('must be a date such as "2013-09-01", or a number') from None


def _not_empty(value: str) -> str:
    if not value.strip():
        raise ValueError("must not be empty")
    return value


def local_path(value: str) -> str:
    """A path relative to the project, as text; DVC would fetch any other kind.

    Raises:
        ValueError: it is absolute, leads out of the project, or names a scheme.
    """
    path = PureWindowsPath(value)  # which knows what is absolute on each system
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]*:", value) or path.root or path.drive or value.startswith("~"):
        raise ValueError("must be a path relative to the project, such as data/source/table.csv")
    if ".." in path.parts:
        raise ValueError("must be a path inside the project, without ..")
    return value


def _import_path(value: str) -> str:
    parts = value.split(".")
    if len(parts) < 2 or not all(part.isidentifier() for part in parts):
        raise ValueError(
            "must be the import path of an estimator, such as sklearn.ensemble.HistGradientBoostingClassifier, "
            f"not {json.dumps(value)}"
        )
    return value


def _distinct(values: list[str]) -> list[str]:
    if twice := sorted(value for value, count in Counter(values).items() if count > 1):
        raise ValueError(f"names {', '.join(twice)} twice")
    return values


Number = Annotated[float, BeforeValidator(as_number), Field(allow_inf_nan=False)]
Positive = Annotated[Number, Field(gt=0)]
NotNegative = Annotated[Number, Field(ge=0)]
Share = Annotated[Number, Field(gt=0, lt=1)]
Text = Annotated[str, AfterValidator(_not_empty)]
Columns = Annotated[list[Text], AfterValidator(_distinct)]
Moment = Annotated[float | datetime, BeforeValidator(_moment)]
ImportPath = Annotated[str, AfterValidator(_import_path)]
Seed = Annotated[int, Field(ge=0, lt=2**31)]
Block = Literal["hour", "day", "week", "month"]


class Section(BaseModel):
    """A part of params.yaml: every key is asked for, and no other is taken."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Costs(Section):
    false_positive: Positive
    false_negative: Positive

    @property
    def threshold(self) -> float:
        """The probability from which acting costs less than not acting (Elkan, 2001)."""
        return self.false_positive / (self.false_positive + self.false_negative)


class Problem(Section):
    question: Text
    decision: Text
    costs: Costs | None


class Data(Section):
    set: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
    source: Annotated[Text, AfterValidator(local_path)]
    read: dict[str, Any]
    target: Text
    task: Literal["classification", "regression"]
    positive: str | int | bool | None
    id: Text | None
    id_columns: Columns
    time: Text | None
    group: Text | None
    drop: Columns
    private: Columns
    weight: Text | None

    @model_validator(mode="after")
    def _one_role_each(self) -> Self:
        roles = {
            "target": self.target,
            "id": self.id,
            "time": self.time,
            "group": self.group,
            "weight": self.weight,
        }
        for role, column in roles.items():
            if column is not None and column in self.drop:
                raise ValueError(f"{role} names a column that drop leaves out")
            if column is not None and role != "target" and column == self.target:
                raise ValueError(f"{role} and target name the same column")
        if self.id is not None and self.id in (self.time, self.group):
            raise ValueError("id names the column of another role")
        if self.id is not None and self.id_columns:
            raise ValueError("id and id_columns are both set: make id null, or id_columns []")
        if self.target in self.id_columns:
            raise ValueError("id_columns names the target: a corrected target would change the row's id; leave it out")
        return self

    def hides(self, column: str) -> bool:
        """Whether no value of a column may be shown: it's in `private`, or made of such a column, as `born (month)`."""
        return any(column == name or column.startswith(f"{name} (") for name in self.private)

    @property
    def id_column(self) -> str:
        """The prepared table's column of ids: the one that `id` names, else `row_id`, which prepare makes."""
        return self.id or "row_id"


class SplitByTime(Section):
    by: Literal["time"]
    valid_from: Moment
    test_from: Moment
    block: Block | None
    purge: bool

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if type(self.valid_from) is not type(self.test_from):
            raise ValueError("valid_from and test_from must both be dates or both be numbers")
        if not self.valid_from < self.test_from:  # type: ignore[operator]  # they are of one type
            raise ValueError("valid_from must come before test_from")
        if self.block and isinstance(self.valid_from, float):
            raise ValueError("block must be null where time is a number, which has no calendar")
        return self


class SplitByShare(Section):
    by: Literal["group", "random"]
    valid: Share
    test: Share
    seed: Seed

    @model_validator(mode="after")
    def _something_to_learn_from(self) -> Self:
        if self.valid + self.test >= 1:
            raise ValueError("valid and test together must be less than 1")
        return self


class Train(Section):
    model: ImportPath
    arguments: dict[str, Any]
    seed: Seed
    refits: Annotated[int, Field(ge=2)]


class Evaluate(Section):
    resamples: Annotated[int, Field(ge=100)]
    slices: Annotated[Columns, Field(max_length=5)]  # with more, the rows' losses follow from the scores in Git


Baseline = Literal["prior", "linear", "best_constant_action"]


class Gate(Section):
    metric: Text  # retrace/scores.py checks the names of metrics
    floor: Number | None
    slice_floor: Number | None
    baselines: Annotated[list[Baseline], AfterValidator(_distinct)]
    smallest_difference: dict[str, NotNegative]

    @model_validator(mode="after")
    def _metric_has_a_smallest_difference(self) -> Self:
        if self.metric not in self.smallest_difference:
            raise ValueError(f"smallest_difference must name the metric {self.metric}")
        return self


class Params(Section):
    problem: Problem
    data: Data
    split: Annotated[SplitByTime | SplitByShare, Field(discriminator="by")]
    train: Train
    evaluate: Evaluate
    gate: Gate

    @model_validator(mode="after")
    def _sections_fit(self) -> Self:
        task = self.data.task
        if self.split.by != "random" and getattr(self.data, self.split.by) is None:
            raise ValueError(f"split.by is {self.split.by}, but data.{self.split.by} is null")
        if isinstance(self.split, SplitByTime) and self.data.group is None and self.split.purge:
            raise ValueError("split.purge removes groups from train, but data.group is null; make it false")
        if isinstance(self.split, SplitByTime) and self.data.group is not None and self.split.block:
            raise ValueError("split.block has no effect where data.group says what is drawn together; make one null")
        if self.data.task == "classification" and self.data.hides(self.data.target):
            raise ValueError("data.private can't name the target: its classes show wherever they are scored")
        if shown := sorted(filter(self.data.hides, self.evaluate.slices)):
            raise ValueError(f"evaluate.slices would show the values of the private column {shown[0]}")
        if self.problem.costs is not None and task != "classification":
            raise ValueError("problem.costs are for two classes: null for regression")
        if self.problem.costs is not None and self.data.positive is None:
            raise ValueError("problem.costs need data.positive, the class that is acted on; else make them null")
        if "best_constant_action" in self.gate.baselines and self.problem.costs is None:
            raise ValueError("gate.baselines: best_constant_action needs problem.costs, which say what an error costs")
        return self


class _Loader(yaml.CSafeLoader):
    """YAML 1.2 as DVC has it, in which `yes` is text, and no key stands twice; by libyaml, ten times as fast."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise yaml.MarkedYAMLError(problem="a key must be a word", problem_mark=key.start_mark)
            if key.value in seen:
                raise yaml.MarkedYAMLError(problem=f"the key {key.value} stands twice", problem_mark=key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep)


class Dumper(yaml.CSafeDumper):
    """Quotes text that either YAML 1.1 or 1.2 reads as something else; by libyaml, three times as fast."""


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


def complain(error: ValidationError, content: Any, file: Path, *section: str) -> UserError:
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


def read_params(file: Path = FILE) -> Params:
    """The parameters of the project.

    Raises:
        UserError: the file can't be read, or a key is unknown, missing, of the wrong type or impossible.
    """
    content = read_yaml(file)
    if not isinstance(content, dict):
        raise UserError(f"{file}: holds no sections; `git restore {file}` brings the committed one back")
    split = content.get("split")
    if unquoted := [key for key, value in split.items() if isinstance(value, date)] if isinstance(split, dict) else []:
        raise UserError(f"{file}: split.{unquoted[0]}: a date needs quotes, or DVC can't read it")
    try:
        params = Params.model_validate(content)
    except ValidationError as error:
        raise complain(error, content, file) from None
    module = Path(f"src/datasets/{params.data.set}.py")
    if not module.exists():
        raise UserError(f"{file}: data.set: there is no {module}")
    return params
