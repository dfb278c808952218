from collections.abc import Iterator, Sequence
from typing import Literal

import torch
from jaxtyping import Bool, Float, Int
from pydantic import Field
from torch import Tensor
from typing_extensions import override

from trainers import flops
from trainers.data.encoding import END, PAD, START
from trainers.data.shape import TokenShape
from trainers.models.cell import GATES, LINEAR, ONE, Cell, Given, Memory, Step, first_memory, run
from trainers.models.model import Stateful
from trainers.models.parametrisation import OfWidth, Standard, outside
from trainers.models.recompute import through
from trainers.models.stack import Parameter, Weights, can_look, embedding, linear


class Recurrent(Stateful):
    """A recurrent network that reads the question, then the answer token by token.

    Cells: Elman's with ReLU or tanh, LSTM, GRU, and linear ones whose diagonal transition has
    eigenvalues in (0, 1) (`diagonal`) or (-1, 1) (`signed_diagonal`). `embed: null` feeds tokens
    one-hot. With `start_token` a start token is read before the answer; without it the first token
    of the answer is predicted right after the question. Weights start uniform within width^-1/2 as
    in torch; with `xavier_gain` they are normal by Glorot's rule and biases 0. Every state starts
    at `first_state`.
    Source: Elman 1990, doi:10.1207/s15516709cog1402_1; linear cells: Grazzi et al. 2024,
    arXiv:2411.12537; Glorot's rule: Glorot and Bengio 2010, in torch.nn.init.xavier_normal_.
    """

    kind: Literal["recurrent"] = "recurrent"
    cell: Cell = "lstm"
    layers: int = Field(default=1, ge=1, le=100)
    width: int = Field(default=64, ge=2, le=65_536)
    embed: int | None = Field(default=None, ge=2, le=65_536)
    start_token: bool = True
    first_state: float = Field(default=0.0, ge=-100, le=100)
    xavier_gain: float | None = Field(default=None, gt=0, le=100)
    parametrisation: OfWidth = Standard()

    @override
    def parameters(self, shape: TokenShape) -> tuple[Parameter, ...]:
        width, _ = self.parametrisation.of_base(self.width, 1)
        base = self.model_copy(update={"width": width})
        return self.parametrisation.scaled(
            self._parameters(shape), base._parameters(shape), outside
        )

    def _parameters(self, shape: TokenShape) -> Iterator[Parameter]:
        width, gates = self.width, GATES[self.cell]
        if self.embed is not None:
            yield Parameter("token", (shape.vocabulary, self.embed), "normal", 1.0)
        for layer in range(self.layers):
            inputs = width if layer else self.embed or shape.vocabulary
            yield self._weight(f"{layer}.input.weight", inputs, gates)
            yield self._bias(f"{layer}.input.bias", gates * width)
            if self.cell not in LINEAR:
                yield self._weight(f"{layer}.state.weight", width, gates)
            if self.cell == "gru":
                yield self._bias(f"{layer}.state.bias", width)
        yield self._weight("head.weight", width, 1, shape.outputs)
        yield self._bias("head.bias", shape.outputs)

    def _weight(self, name: str, inputs: int, maps: int, outputs: int | None = None) -> Parameter:
        """So many linear maps side by side, each with as many outputs as the layer is wide."""
        each = outputs or self.width
        if self.xavier_gain is None:
            return Parameter(name, (inputs, maps * each), "uniform", self.width**-0.5)
        deviation = self.xavier_gain * (2 / (inputs + each)) ** 0.5
        return Parameter(name, (inputs, maps * each), "normal", deviation)

    def _bias(self, name: str, size: int) -> Parameter:
        if self.xavier_gain is None:
            return Parameter(name, (size,), "uniform", self.width**-0.5)
        return Parameter(name, (size,), "constant", 0.0)

    @override
    def cost(self, shape: TokenShape) -> flops.Cost:
        return flops.recurrent(
            gates=GATES[self.cell],
            mixes=self.cell not in LINEAR,
            extra_biases=self.width if self.cell == "gru" else 0,
            layers=self.layers,
            width=self.width,
            embed=self.embed,
            vocabulary=shape.vocabulary,
            outputs=shape.outputs,
            steps=shape.question + shape.answer - (not self.start_token),
            answer=shape.answer,
        )

    @override
    def state_size(self) -> int:
        return self.width

    @override
    def keeps_its_state_alone(self) -> bool:
        return self.layers == 1 and self.cell in ONE and not self.start_token

    @override
    def states(
        self,
        weights: Weights,
        question: Int[Tensor, "trial batch question"],
        answer: Int[Tensor, "trial batch answer"],
    ) -> Float[Tensor, "trial batch answer state"]:
        tokens = torch.cat([self._asked(question), answer[..., :-1]], dim=-1)
        outputs, _ = self._read(weights, tokens, self._first(question), answer.shape[-1])
        return outputs

    @override
    def scores(
        self, weights: Weights, states: Float[Tensor, "trial batch answer state"]
    ) -> Float[Tensor, "trial batch answer vocabulary"]:
        return linear(weights, "head", states)

    @override
    def generate(
        self, weights: Weights, question: Int[Tensor, "trial batch question"], length: int
    ) -> Int[Tensor, "trial batch answer"]:
        answer: list[Tensor] = []
        tokens, memories = self._asked(question), self._first(question)
        for _ in range(length):
            outputs, memories = self._read(weights, tokens, memories, 1)
            tokens = linear(weights, "head", outputs).argmax(dim=-1)
            if answer:  # after the end comes nothing
                over = (answer[-1] == END) | (answer[-1] == PAD)
                tokens = torch.where(over, PAD, tokens)
            answer.append(tokens)
        return torch.cat(answer, dim=-1)

    def _asked(
        self, question: Int[Tensor, "trial batch question"]
    ) -> Int[Tensor, "trial batch asked"]:
        """What is read before the first token of the answer is predicted."""
        question = _trimmed(question)
        if not self.start_token:
            return question
        return torch.cat([question, torch.full_like(question[..., :1], START)], dim=-1)

    def _first(self, question: Int[Tensor, "trial batch question"]) -> list[Memory]:
        size = (*question.shape[:2], self.width)
        return [
            first_memory(self.cell, size, self.first_state, question.device)
            for _ in range(self.layers)
        ]

    def _read(
        self,
        weights: Weights,
        tokens: Int[Tensor, "trial batch pos"],
        memories: list[Memory],
        scored: int,
    ) -> tuple[Float[Tensor, "trial batch scored width"], list[Memory]]:
        """The last layer's outputs at the last `scored` places, and what all layers hand on."""
        present, after, steps = _present(tokens), [], list[Step]()
        for number, memory in enumerate(memories):
            steps, memory = through(self._layer, weights, number, tokens, steps, memory, present)
            after.append(memory)
        return torch.stack(steps[-scored:], dim=2), after

    def _layer(
        self,
        weights: Weights,
        number: int,
        tokens: Int[Tensor, "trial batch pos"],
        below: list[Step],
        memory: Memory,
        present: Bool[Tensor, "trial batch pos"] | None,
    ) -> tuple[list[Step], Memory]:
        """Outputs of a layer at every place, and its memory after the last."""
        given = self._given(weights, number, tokens, below)
        return run(self.cell, weights, f"{number}", memory, given, present)

    def _given(
        self,
        weights: Weights,
        layer: int,
        tokens: Int[Tensor, "trial batch pos"],
        below: list[Step],
    ) -> Sequence[Given]:
        """The linear maps of the input of a layer: the tokens, or the outputs of the layer below."""
        name = f"{layer}.input"
        if layer == 0 and self.embed is None:
            weight, bias = weights[f"{name}.weight"], weights[f"{name}.bias"]
            return embedding(weight + bias[:, None], tokens).unbind(dim=2)
        steps = below if layer else embedding(weights["token"], tokens).unbind(dim=2)
        if tokens.device.type == "cpu":  # bits must not depend on how many places were trimmed
            return [linear(weights, name, step) for step in steps]
        return linear(weights, name, torch.stack(list(steps), dim=2)).unbind(dim=2)


def _trimmed(question: Int[Tensor, "trial batch question"]) -> Int[Tensor, "trial batch asked"]:
    """Without places at the end that are padding in every row: they would change nothing.

    Only where looking is cheap.
    """
    if not can_look(question):
        return question
    used = (question != PAD).any(dim=0).any(dim=0).nonzero()
    return question[..., : int(used.max()) + 1] if len(used) else question[..., :1]


def _present(tokens: Int[Tensor, "trial batch pos"]) -> Bool[Tensor, "trial batch pos"] | None:
    """Where there are true tokens; None for everywhere, if it is cheap to look."""
    present = tokens != PAD
    return None if can_look(present) and bool(present.all()) else present
