"""TrialConfig: everything that decides the result of one trial, and the key that names it."""

import hashlib
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, Field, ValidationError, model_validator

from trainers import models
from trainers.data import encodings, tasks
from trainers.data.encoding import Encoding
from trainers.data.sampling import Data
from trainers.data.shape import NumberShape, Shape
from trainers.data.task import Bounds, IntegerTask, NumberTask, Task, metrics_of
from trainers.flops import Cost
from trainers.models.model import Model, NumberModel, TokenModel
from trainers.optim import Adam, Optimizer
from trainers.plugins import union
from trainers.schema import Frozen, InputError, first_problem, spelled

NUMERICS = 1
"""Raised when a config may give other bits than before: old results keep their old keys."""

EVERY_TRIAL_REPORTS = frozenset({"loss"})


if TYPE_CHECKING:
    AnyTask = Task
    AnyEncoding = Encoding
    AnyModel = Model
else:
    AnyTask = union(tasks, Task)
    AnyEncoding = union(encodings, Encoding)
    AnyModel = union(models, Model)


class Budget(Frozen):
    """How long a trial trains, in optimizer steps or in examples shown: exactly one of the two."""

    steps: int | None = Field(default=None, ge=1, le=10**10)
    examples: int | None = Field(default=None, ge=1, le=10**14)

    @model_validator(mode="after")
    def _one(self) -> "Budget":
        if (self.steps is None) == (self.examples is None):
            raise ValueError("expected exactly one of steps and examples")
        return self


class Evaluation(Frozen):
    """How often a trial is tested, on how many examples that it never trains on."""

    points: int = Field(default=20, ge=1, le=10_000)  # reports, evenly spaced over the budget
    examples: int = Field(default=2_000, ge=1, le=10**8)
    last_examples: int | None = Field(default=None, ge=1, le=10**8)  # at the end; null: the same
    class_examples: int = Field(default=20, ge=1, le=10**6)  # of each class, once at the end


class TrialConfig(Frozen):
    """One trial, resolved: equal configs give equal bits in any pack and any worker."""

    task: AnyTask
    encoding: AnyEncoding | None = None
    data: Data = Data()
    model: AnyModel
    optimizer: Optimizer = Adam()
    batch_size: int = Field(default=128, ge=1, le=10**7)
    budget: Budget
    evaluation: Evaluation = Evaluation()
    seed: int = Field(default=0, ge=0, lt=2**63)

    @model_validator(mode="after")
    def _fits_together(self) -> "TrialConfig":
        if isinstance(self.task, IntegerTask):
            if self.encoding is None:
                raise ValueError(f"expected an encoding, since {self.task.kind} is about integers")
            if not isinstance(self.model, TokenModel):
                raise ValueError(
                    f"expected a model of tokens for {self.task.kind}, got {self.model.kind}"
                )
        else:
            if self.encoding is not None:
                raise ValueError(f"expected no encoding, since {self.task.kind} is about numbers")
            if not isinstance(self.model, NumberModel):
                raise ValueError(
                    f"expected a model of numbers for {self.task.kind}, got {self.model.kind}"
                )
        if self.evaluation.points > self.steps:
            raise ValueError(
                f"expected at most as many evaluation.points as steps, got"
                f" {self.evaluation.points} and {self.steps}"
            )
        self.tasks()  # a priming task is checked as well
        return self

    @property
    def steps(self) -> int:
        """Optimizer steps of the whole budget."""
        if self.budget.steps is not None:
            return self.budget.steps
        assert self.budget.examples is not None  # Budget holds exactly one of the two
        return -(-self.budget.examples // self.batch_size)

    @property
    def examples(self) -> int:
        """Examples shown over the whole budget."""
        return self.steps * self.batch_size

    @property
    def report_steps(self) -> tuple[int, ...]:
        """The steps after which the trial reports; the last one is the last step."""
        points = self.evaluation.points
        return tuple(self.steps * point // points for point in range(1, points + 1))

    def tasks(self) -> tuple[Task, ...]:
        """The task, and the priming task where there is one."""
        if self.data.prime is None:
            return (self.task,)
        changed = {**self.task.model_dump(), **self.data.prime.task}
        try:
            prime = type(self.task).model_validate_json(json.dumps(changed))
        except ValidationError as error:
            place, words = first_problem(error, changed)
            raise ValueError(f"data.prime.task.{spelled(place)}: {words}") from error
        return self.task, prime

    def bounds(self) -> Bounds:
        """The largest magnitudes over the task and the priming task."""
        bounds = [task.bounds() for task in self.tasks() if isinstance(task, IntegerTask)]
        questions = zip(*(each.question for each in bounds), strict=True)
        answers = zip(*(each.answer for each in bounds), strict=True)
        return Bounds(question=tuple(map(max, questions)), answer=tuple(map(max, answers)))

    def shape(self) -> Shape:
        """What flows through the model."""
        if isinstance(self.task, NumberTask):
            inputs, outputs = self.task.sizes()
            return NumberShape(inputs=inputs, outputs=outputs)
        assert self.encoding is not None  # checked above
        return self.encoding.shape(self.bounds())

    def cost(self) -> Cost:
        """Parameters, and FLOPs of an example."""
        return self.model.cost(self.shape())

    def tokens_of_example(self) -> int:
        """Tokens of one example, padding included."""
        return self.shape().tokens

    def metrics(self) -> frozenset[str]:
        """Names of the metrics that this trial reports."""
        return EVERY_TRIAL_REPORTS | metrics_of(self.task)

    def key(self) -> str:
        """The name of the trial: 20 hexadecimal digits of the hash of what decides its result."""
        text = json.dumps([NUMERICS, self._deciding()], sort_keys=True, allow_nan=False)
        return hashlib.sha256(text.encode()).hexdigest()[:20]

    def stacks_with(self) -> str:
        """What is equal for the trials of a pack: all but what a pack holds for each."""
        own: dict[str, Any] = {
            "seed": 0,
            "data": self.data.model_copy(update={"distinct": None, "hot": None, "corrupt": 0.0}),
            "optimizer": self.optimizer.kind,
            "budget": None,
        }
        return json.dumps(self.model_copy(update=own)._deciding(), sort_keys=True)

    def _deciding(self) -> dict[str, Any]:
        deciding = _deciding(self)
        if self.data.prime is not None:  # how the priming task is spelled decides nothing
            deciding["data"]["prime"]["task"] = _deciding(self.tasks()[1])
        return deciding


def trial_config(fields: Mapping[str, Any]) -> TrialConfig:
    """Validate plain fields.

    Raises:
        InputError: they are not a trial; the message begins with the dotted path of the field.

    """
    try:
        text = json.dumps(fields)
    except (TypeError, ValueError, RecursionError) as error:
        raise InputError(f"expected texts, numbers, lists and mappings: {error}") from error
    try:
        return TrialConfig.model_validate_json(text)
    except ValidationError as error:
        place, words = first_problem(error, fields)
        raise InputError(f"{spelled(place)}: {words}" if place else words) from error


def _deciding(value: Any) -> Any:
    """Plain data with the fields that differ from their default, and every `kind`.

    A field that is added later with a neutral default therefore changes no key.
    """
    if isinstance(value, BaseModel):
        fields = type(value).model_fields
        return {
            name: _deciding(getattr(value, name))
            for name, field in fields.items()
            if name == "kind" or field.is_required() or getattr(value, name) != field.default
        }
    if isinstance(value, dict):
        return {name: _deciding(item) for name, item in value.items()}
    if isinstance(value, float):
        return value + 0.0  # minus zero and zero are one value
    return value
