from typing import Annotated, Literal

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor
from typing_extensions import override

from trainers import flops
from trainers.data.shape import NumberShape
from trainers.models.model import NumberModel
from trainers.models.stack import Parameter, Weights, linear_map


class NtkMlp(NumberModel):
    """One hidden layer of ReLU neurons in the parametrisation of the neural tangent kernel.

    f(x) = width^-1/2 sum_j v_j relu(inputs^-1/2 w_j . x) without biases; all weights start standard
    normal and learn at the same rate, so that a wide network trained with SGD is a kernel machine.
    Source: Jacot, Gabriel and Hongler 2018, arXiv:1806.07572.
    """

    kind: Literal["ntk_mlp"] = "ntk_mlp"
    width: Annotated[int, Field(ge=2, le=1_000_000)]

    @override
    def parameters(self, shape: NumberShape) -> tuple[Parameter, ...]:
        return (
            Parameter("gaussian.weight", (shape.inputs, self.width), "normal", 1.0),
            Parameter("readout.weight", (self.width, shape.outputs), "normal", 1.0),
        )

    @override
    def cost(self, shape: NumberShape) -> flops.Cost:
        return flops.two_maps(inputs=shape.inputs, width=self.width, outputs=shape.outputs)

    @override
    def outputs(
        self, weights: Weights, inputs: Float[Tensor, "trial batch inputs"]
    ) -> Float[Tensor, "trial batch outputs"]:
        hidden = torch.relu(
            linear_map(weights["gaussian.weight"], inputs * inputs.shape[-1] ** -0.5)
        )
        return linear_map(weights["readout.weight"], hidden * self.width**-0.5)
