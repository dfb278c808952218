from itertools import pairwise
from typing import Annotated, Literal

from jaxtyping import Float
from pydantic import Field
from torch import Tensor
from typing_extensions import override

from trainers import flops
from trainers.data.shape import NumberShape
from trainers.models.activation import ACTIVATIONS, Activation
from trainers.models.model import NumberModel
from trainers.models.parametrisation import OfWidth, Standard, outside
from trainers.models.recompute import through
from trainers.models.stack import Parameter, Weights, elementwise, linear


class Mlp(NumberModel):
    """A multi-layer perceptron: `layers` hidden layers of `width` neurons each.

    First-layer weights and biases start uniform on (-1, 1), later ones on +-1/sqrt(inputs).
    Source: Liu and Tegmark 2023, arXiv:2310.02258 (one hidden layer, SiLU or ReLU).
    """

    kind: Literal["mlp"] = "mlp"
    width: Annotated[int, Field(ge=1, le=1_000_000)]
    layers: int = Field(default=1, ge=1, le=100)
    activation: Activation = "silu"
    parametrisation: OfWidth = Standard()

    @override
    def parameters(self, shape: NumberShape) -> tuple[Parameter, ...]:
        width, _ = self.parametrisation.of_base(self.width, 1)
        base = self.model_copy(update={"width": width})
        return self.parametrisation.scaled(
            self._parameters(shape), base._parameters(shape), outside
        )

    def _parameters(self, shape: NumberShape) -> tuple[Parameter, ...]:
        sizes = (shape.inputs, *[self.width] * self.layers, shape.outputs)
        return tuple(
            Parameter(f"{layer}.{name}", dims, "uniform", inputs**-0.5)
            for layer, (inputs, outputs) in enumerate(pairwise(sizes))
            for name, dims in (("weight", (inputs, outputs)), ("bias", (outputs,)))
        )

    @override
    def cost(self, shape: NumberShape) -> flops.Cost:
        hidden = (self.width,) * self.layers
        return flops.mlp(inputs=shape.inputs, hidden=hidden, outputs=shape.outputs)

    @override
    def outputs(
        self, weights: Weights, inputs: Float[Tensor, "trial batch inputs"]
    ) -> Float[Tensor, "trial batch outputs"]:
        x = inputs
        for number in range(self.layers):
            x = through(self._hidden, weights, f"{number}", x)
        return linear(weights, f"{self.layers}", x)

    def _hidden(
        self, weights: Weights, name: str, x: Float[Tensor, "trial batch inputs"]
    ) -> Float[Tensor, "trial batch width"]:
        return elementwise(ACTIVATIONS[self.activation], linear(weights, name, x))
