"""The sections of params.yaml, and what must hold between them."""

from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Discriminator, Field, Tag, model_validator

from retrace.params.types import (
    Block,
    Columns,
    ImportPath,
    Moment,
    NotNegative,
    Number,
    Positive,
    Seed,
    Share,
    Text,
    distinct,
    local_path,
)


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
    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]*[a-z0-9]$")]  # as GTO takes it
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
        if self.weight is not None and self.weight in (self.id, self.time, self.group):
            raise ValueError("weight names the column of another role")
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
    memory: Positive  # in GB of 10^9 bytes


class Evaluate(Section):
    resamples: Annotated[int, Field(ge=100)]
    slices: Annotated[Columns, Field(max_length=5)]  # with more, the rows' losses follow from the scores in Git


Baseline = Literal["prior", "linear", "best_constant_action"]


class Gate(Section):
    metric: Text  # retrace/scores.py checks the names of metrics
    floor: Number | None
    slice_floor: Number | None
    baselines: Annotated[list[Baseline], AfterValidator(distinct)]
    smallest_difference: dict[str, NotNegative]

    @model_validator(mode="after")
    def _metric_has_a_smallest_difference(self) -> Self:
        if self.metric not in self.smallest_difference:
            raise ValueError(f"smallest_difference must name the metric {self.metric}")
        return self


class Watch(Section):
    false_alarms: Share
    label_days: Annotated[int, Field(ge=0)]


class Range(Section):
    low: int | Number
    high: int | Number
    log: bool

    @model_validator(mode="after")
    def _not_empty(self) -> Self:
        if not self.low < self.high:
            raise ValueError("low must be less than high")
        if self.log and self.low <= 0:
            raise ValueError("low must be greater than 0 if log is true")
        return self


class Choices(Section):
    choices: Annotated[list[bool | int | float | str | None], Field(min_length=2)]


def _kind_of_values(content: object) -> str:
    has_choices = isinstance(content, Choices) or (isinstance(content, dict) and "choices" in content)
    return "choices" if has_choices else "range"


Values = Annotated[Annotated[Range, Tag("range")] | Annotated[Choices, Tag("choices")], Discriminator(_kind_of_values)]


class Search(Section):
    trials: Annotated[int, Field(ge=1)]
    batch: Annotated[int, Field(ge=1)]
    folds: Annotated[int, Field(ge=2)]
    seed: Seed
    space: Annotated[dict[str, Values], Field(min_length=1)]

    @model_validator(mode="after")
    def _whole_batches(self) -> Self:
        if self.trials % self.batch:
            raise ValueError(f"trials must be a multiple of batch ({self.batch})")
        return self


class Params(Section):
    problem: Problem
    data: Data
    split: Annotated[SplitByTime | SplitByShare, Field(discriminator="by")]
    train: Train
    evaluate: Evaluate
    gate: Gate
    watch: Watch
    search: Search | None = None

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
