from functools import reduce
from itertools import pairwise
from typing import Literal

import torch
import torch.nn.functional as F  # noqa: N812
from jaxtyping import Float, Int
from pydantic import Field, model_validator
from torch import Tensor
from typing_extensions import override

from trainers import flops
from trainers.data.encoding import END, PAD, SPECIAL_TOKENS
from trainers.data.shape import TokenShape
from trainers.models.activation import ACTIVATIONS, Activation
from trainers.models.model import Prunable, TokenModel
from trainers.models.parametrisation import OfWidth, Standard, outside
from trainers.models.recompute import through
from trainers.models.stack import Parameter, Weights, elementwise, embedding, linear_map


class Classifier(TokenModel, Prunable):
    """A perceptron from tokens at fixed places to all tokens of the answer at once.

    Each place of the question has its own embedding table, or its own one-hot inputs where `embed`
    is null; places are concatenated or summed, and a place with padding adds nothing. One-hot,
    quadratic, without biases and with start `cubic` it is f = W (U e_m + V e_n)^2.
    `start: cubic` gives all weights the variance (16 width)^(-2/3) of Doshi et al.; `variance`
    gives a layer's outputs variance 1.
    Source: Doshi et al. 2023, arXiv:2310.13061; Chughtai et al. 2023, arXiv:2302.03025.
    """

    kind: Literal["classifier"] = "classifier"
    embed: int | None = Field(default=None, ge=2, le=65_536)
    combine: Literal["concatenate", "sum"] = "concatenate"
    layers: int = Field(default=1, ge=1, le=100)
    width: int = Field(default=128, ge=2, le=1_000_000)
    activation: Activation = "relu"
    biases: bool = True
    start: Literal["variance", "cubic"] = "variance"
    parametrisation: OfWidth = Standard()

    @model_validator(mode="after")
    def _has_one_rule_of_width(self) -> "Classifier":
        if self.start == "cubic" and self.parametrisation.kind != "standard":
            raise ValueError(f"expected start variance with {self.parametrisation.kind}, got cubic")
        return self

    @override
    def parameters(self, shape: TokenShape) -> tuple[Parameter, ...]:
        if shape.spoken is not None:
            raise ValueError("expected one encoding for questions and answers with a classifier")
        width, _ = self.parametrisation.of_base(self.width, 1)
        base = self.model_copy(update={"width": width})
        return self.parametrisation.scaled(
            self._parameters(shape), base._parameters(shape), outside
        )

    def _parameters(self, shape: TokenShape) -> tuple[Parameter, ...]:
        found: list[Parameter] = []
        if self.embed is not None:
            rows = shape.question * shape.vocabulary
            found.append(Parameter("place", (rows, self.embed), "normal", self._deviation(1)))
        # one input of each place is 1, the others 0
        fan_in = shape.question * (self.embed or 1)
        sizes = (self._first(shape), *[self.width] * self.layers)
        for layer, (inputs, outputs) in enumerate(pairwise(sizes)):
            deviation = self._deviation(inputs if layer else fan_in)
            found.append(Parameter(f"{layer}.weight", (inputs, outputs), "normal", deviation))
        head = (shape.answer, self.width, shape.vocabulary)
        found.append(Parameter("head", head, "normal", self._deviation(self.width)))
        if self.biases:
            layers = range(self.layers)
            found += [Parameter(f"{n}.bias", (self.width,), "constant", 0.0) for n in layers]
            found.append(Parameter("head.bias", (shape.answer, shape.vocabulary), "constant", 0.0))
        return tuple(found)

    @override
    def cost(self, shape: TokenShape) -> flops.Cost:
        return flops.classifier(
            vocabulary=shape.vocabulary,
            question=shape.question,
            answer=shape.answer,
            embed=self.embed,
            first=self._first(shape),
            hidden=(self.width,) * self.layers,
            biases=self.biases,
        )

    @override
    def state_size(self) -> int:
        return self.width

    @override
    def states(
        self,
        weights: Weights,
        question: Int[Tensor, "trial batch question"],
        answer: Int[Tensor, "trial batch answer"],
    ) -> Float[Tensor, "trial batch answer state"]:
        hidden = self._hidden(weights, question)
        return hidden[:, :, None].expand(-1, -1, answer.shape[-1], -1)

    @override
    def scores(
        self, weights: Weights, states: Float[Tensor, "trial batch answer state"]
    ) -> Float[Tensor, "trial batch answer vocabulary"]:
        answer = states.shape[2]
        head = weights["head"][:, :answer]
        # one product a trial, since the state is the same at all places; with one for each place,
        # how its gradient lies in memory and so its bits would depend on the number of trials
        logits = linear_map(head.transpose(1, 2).flatten(2), states[:, :, 0])
        logits = logits.unflatten(-1, (answer, -1))
        return logits + weights["head.bias"][:, None, :answer] if self.biases else logits

    @override
    def generate(
        self, weights: Weights, question: Int[Tensor, "trial batch question"], length: int
    ) -> Int[Tensor, "trial batch answer"]:
        hidden = self._hidden(weights, question)
        states = hidden[:, :, None].expand(-1, -1, length, -1)
        tokens = self.scores(weights, states).argmax(dim=-1)
        over = ((tokens == END) | (tokens == PAD)).cumsum(dim=-1)
        return torch.where(F.pad(over, (1, -1)) > 0, PAD, tokens)  # after the end comes nothing

    @override
    def importance(self, weights: Weights) -> Float[Tensor, "trial neuron"]:
        """Mean inverse participation ratio of the Fourier spectra of what a neuron is tied to.

        Those are its input weights from each place of the question, and with one layer its output
        weights to each place of the answer, as functions of the symbol. 1 is a single frequency; a
        dead neuron has 0.
        Source: Doshi et al. 2023, arXiv:2310.13061.
        """
        vocabulary = weights["head"].shape[-1]
        into = self._into_neurons(weights).unflatten(1, (-1, vocabulary))[:, :, SPECIAL_TOKENS:]
        ratios = [participation(into.movedim(2, -1))]
        if self.layers == 1:
            ratios.append(participation(weights["head"][..., SPECIAL_TOKENS:]))
        return torch.cat(ratios, dim=1).mean(dim=1)

    @override
    def pruned(self, weights: Weights, share: float) -> Weights:
        """Without output weights of the neurons of the first layer with the lowest importance."""
        importance = self.importance(weights)
        order = importance.argsort(dim=-1, stable=True)
        gone = order[:, : round(share * importance.shape[-1])]
        kept = torch.ones_like(importance, dtype=torch.float32).scatter(-1, gone, 0.0)
        if self.layers == 1:
            return {**weights, "head": weights["head"] * kept[:, None, :, None]}
        return {**weights, "1.weight": weights["1.weight"] * kept[:, :, None]}

    def _deviation(self, inputs: int) -> float:
        return (16 * self.width) ** (-1 / 3) if self.start == "cubic" else inputs**-0.5

    def _first(self, shape: TokenShape) -> int:
        """Inputs of the first layer."""
        size = shape.vocabulary if self.embed is None else self.embed
        return size * shape.question if self.combine == "concatenate" else size

    def _hidden(
        self, weights: Weights, question: Int[Tensor, "trial batch question"]
    ) -> Float[Tensor, "trial batch width"]:
        x = self._combined(weights, question)
        if self.embed is not None:
            x = linear_map(weights["0.weight"][:, : x.shape[-1]], x)
        for number in range(self.layers):
            x = through(self._neurons, weights, number, x)
        return x

    def _neurons(
        self, weights: Weights, number: int, x: Float[Tensor, "trial batch inputs"]
    ) -> Float[Tensor, "trial batch width"]:
        x = linear_map(weights[f"{number}.weight"], x) if number else x
        x = x + weights[f"{number}.bias"][:, None] if self.biases else x
        return elementwise(ACTIVATIONS[self.activation], x)

    def _combined(
        self, weights: Weights, question: Int[Tensor, "trial batch question"]
    ) -> Float[Tensor, "trial batch inputs"]:
        """What all places say together: the embeddings, or one-hot inputs times the first layer."""
        vocabulary = weights["head"].shape[-1]
        table = weights["0.weight" if self.embed is None else "place"]
        row = torch.arange(table.shape[1], device=question.device)
        table = table * (row % vocabulary != PAD)[:, None]  # padding adds nothing
        own = self.embed is not None or self.combine == "concatenate"
        places = [
            embedding(table, tokens + place * vocabulary * own)
            for place, tokens in enumerate(question.unbind(dim=-1))
        ]
        if self.embed is not None and self.combine == "concatenate":
            return torch.cat(places, dim=-1)
        return reduce(torch.add, places)

    def _into_neurons(self, weights: Weights) -> Float[Tensor, "trial rows width"]:
        """What a token at a place adds to each neuron of the first layer, place after place."""
        if self.embed is None:
            return weights["0.weight"]
        vocabulary = weights["head"].shape[-1]
        table, first = weights["place"], weights["0.weight"]
        if self.combine == "sum":
            return table @ first
        places = table.unflatten(1, (-1, vocabulary)) @ first.unflatten(1, (-1, self.embed))
        return places.flatten(1, 2)


def participation(rows: Float[Tensor, "*rows symbol"]) -> Float[Tensor, "*rows"]:
    """Inverse participation ratio (|F|_4 / |F|_2)^4 of the discrete Fourier transform of real rows.

    Frequencies k and -k count once. A row of zeros has the ratio 0.
    Source: Doshi et al. 2023, arXiv:2310.13061.
    """
    power = torch.fft.rfft(rows.to(torch.float64), dim=-1).abs().square()
    whole = power.sum(dim=-1)
    ratio = power.square().sum(dim=-1) / whole.square()
    return torch.where(whole > 0, ratio, 0.0)
