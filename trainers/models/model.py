"""Which function is trained: the interface of a model."""

from abc import ABC, abstractmethod
from typing import Any

from jaxtyping import Float, Int
from torch import Tensor

from trainers.flops import Cost
from trainers.models.stack import Parameter, Weights
from trainers.schema import Frozen


class Model(Frozen, ABC):
    """A function of stacked weights. A subclass is one of the two below: of tokens, or numbers."""

    kind: Any  # a subclass says Literal[its file's name]

    # `shape` is a TokenShape for a model of tokens, a NumberShape for a model of numbers

    @abstractmethod
    def parameters(self, shape: Any) -> tuple[Parameter, ...]:
        """What one trial trains."""

    @abstractmethod
    def cost(self, shape: Any) -> Cost:
        """Parameters and FLOPs of one trial."""


class TokenModel(Model, ABC):
    """Predicts the tokens of an answer from those of a question."""

    @abstractmethod
    def state_size(self) -> int:
        """Numbers in the state from which a token of the answer is predicted."""

    @abstractmethod
    def states(
        self,
        weights: Weights,
        question: Int[Tensor, "trial batch question"],
        answer: Int[Tensor, "trial batch answer"],
    ) -> Float[Tensor, "trial batch answer state"]:
        """The state at every place of the answer, given at most the true tokens before it."""

    @abstractmethod
    def scores(
        self, weights: Weights, states: Float[Tensor, "trial batch answer state"]
    ) -> Float[Tensor, "trial batch answer vocabulary"]:
        """Logits of every token, from the state."""

    @abstractmethod
    def generate(
        self, weights: Weights, question: Int[Tensor, "trial batch question"], length: int
    ) -> Int[Tensor, "trial batch answer"]:
        """The greedy answer: each token the most likely one after those already given."""

    def logits(
        self,
        weights: Weights,
        question: Int[Tensor, "trial batch question"],
        answer: Int[Tensor, "trial batch answer"],
    ) -> Float[Tensor, "trial batch answer vocabulary"]:
        """Scores of every token at every place of the answer."""
        return self.scores(weights, self.states(weights, question, answer))


class Trimmable(TokenModel, ABC):
    """A model that may be spared columns which are padding in every line of a trial's batch."""

    @abstractmethod
    def leaves_out_padding(self) -> bool:
        """Whether no other number depends on such columns, beyond its last bits."""


class Stateful(TokenModel, ABC):
    """A model that reads its question symbol by symbol."""

    @abstractmethod
    def keeps_its_state_alone(self) -> bool:
        """Whether what comes after a question depends on the state after it, and on nothing else."""


class NumberModel(Model, ABC):
    """Predicts real numbers from real numbers."""

    @abstractmethod
    def outputs(
        self, weights: Weights, inputs: Float[Tensor, "trial batch inputs"]
    ) -> Float[Tensor, "trial batch outputs"]:
        """The prediction for every input."""


class Prunable(Model, ABC):
    """A model whose neurons can be ranked and left out."""

    @abstractmethod
    def importance(self, weights: Weights) -> Float[Tensor, "trial neuron"]:
        """How much each neuron is worth keeping."""

    @abstractmethod
    def pruned(self, weights: Weights, share: float) -> Weights:
        """The weights without this share of the neurons of each trial, the least important ones."""
