"""What example `i` is: the interface of a task."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from jaxtyping import Float, Int
from torch import Tensor

from trainers.data.draws import Draws
from trainers.schema import Frozen


@dataclass(frozen=True)
class Problems:
    """Integer questions with their answers."""

    question: Int[Tensor, "*batch asked"]
    answer: Int[Tensor, "*batch answered"]


@dataclass(frozen=True)
class Samples:
    """Real inputs with their targets."""

    inputs: Float[Tensor, "*batch inputs"]
    targets: Float[Tensor, "*batch outputs"]


@dataclass(frozen=True)
class Bounds:
    """The largest magnitude that each number of a question and of an answer can have."""

    question: tuple[int, ...]
    answer: tuple[int, ...]


class Task(Frozen, ABC):
    """A source of examples. A subclass is one of the two below: integers, or real numbers."""

    kind: Any  # a subclass says Literal[its file's name]


class IntegerTask(Task, ABC):
    """Questions and answers are integers, which an encoding writes as tokens."""

    @abstractmethod
    def problems(self, draws: Draws) -> Problems:
        """The examples that these draws decide."""

    @abstractmethod
    def bounds(self) -> Bounds:
        """How large the numbers can be; decides the length of a sequence."""


class ClassedTask(IntegerTask, ABC):
    """A task whose examples fall into classes, and whose theory speaks of the classes learned."""

    @abstractmethod
    def classes(self) -> tuple[int, ...]:
        """The classes on which a trial is tested one by one; a class is named by its answer."""

    @abstractmethod
    def problems_of(self, classes: Int[Tensor, "*batch"], draws: Draws) -> Problems:
        """One example of each given class."""

    @abstractmethod
    def theory(self, learned: frozenset[int], modal: Mapping[int, int]) -> dict[str, float]:
        """Metrics that theory gives from the classes learned and the modal answer of each class."""


class NumberTask(Task, ABC):
    """Inputs and targets are vectors of real numbers."""

    @abstractmethod
    def samples(self, draws: Draws) -> Samples:
        """The examples that these draws decide, in float64."""

    @abstractmethod
    def sizes(self) -> tuple[int, int]:
        """Length of an input and of a target."""


def metrics_of(task: Any) -> frozenset[str]:
    """Names of the metrics that a trial of this task reports, beside those of every trial."""
    names = {"test_loss"}
    if isinstance(task, IntegerTask):
        names |= {"accuracy"}
    if isinstance(task, ClassedTask):
        names |= {"classes_learned", "modal_share", *task.theory(frozenset(), {})}
    return frozenset(names)
