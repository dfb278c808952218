"""Layers with a leading trial dimension, and the flat buffer that holds all weights of a stack.

Nothing is reduced over the trial dimension, so a trial's numbers do not depend on its neighbours.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import groupby
from typing import Literal

import torch
import torch.nn.functional as F  # noqa: N812 (the field's own name for it)
from jaxtyping import Float, Int
from torch import Tensor
from torch.fx.experimental.proxy_tensor import get_proxy_mode

from trainers.data.draws import START, Draws

Weights = Mapping[str, Tensor]
"""Each parameter by its name, with the trial dimension first."""

_AT_ONCE = 1 << 18  # weights of a trial that are started at once
_STRIDE = 32  # floats that vector code takes at once, two registers of the widest kind
_MANY = 1 << 14  # floats of a trial that are worth a call of their own
_ROW_MULTIPLE = 64  # rows start aligned, so vector code meets each of them at the same place


@dataclass(frozen=True)
class Parameter:
    """One parameter of a trial and how it starts; `scale` is a deviation, a bound or a value.

    `rate` multiplies the trial's learning rate with an optimizer of Adam's family and `sgd_rate`
    with SGD, as muP asks for; `decays` says whether weight decay acts on it.
    """

    name: str
    shape: tuple[int, ...]
    start: Literal["normal", "uniform", "constant"]
    scale: float
    rate: float = 1.0
    decays: bool = True
    sgd_rate: float = 1.0

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)


@dataclass(frozen=True)
class Group:
    """Neighbours in a row that are trained alike; the last group holds the padding as well."""

    first: int
    size: int
    rate: float
    sgd_rate: float
    decays: bool


@dataclass(frozen=True)
class Layout:
    """Where each parameter lies in a trial's row of the flat buffer: those trained alike together.

    So an optimizer has few pieces to update; parameters that are all trained alike keep their order.
    """

    parameters: tuple[Parameter, ...]

    def __post_init__(self) -> None:
        alike = list(dict.fromkeys(map(_training, self.parameters)))
        ordered = sorted(self.parameters, key=lambda each: alike.index(_training(each)))
        object.__setattr__(self, "parameters", tuple(ordered))

    @property
    def used(self) -> int:
        """Elements that are parameters."""
        return sum(parameter.size for parameter in self.parameters)

    @property
    def row(self) -> int:
        """Elements of a row; those past `used` are padding and stay 0."""
        return -(-self.used // _ROW_MULTIPLE) * _ROW_MULTIPLE

    def views(self, flat: Float[Tensor, "trial row"]) -> dict[str, Tensor]:
        """The parameters by name, as views: their gradients arrive as one flat tensor."""
        trials = flat.shape[0]
        pieces = flat.split_with_sizes(self._sizes, dim=1)
        # a vector has its shape already; each view less is two calls less, here and backward
        return {
            name: piece if len(shape) == 1 else piece.view(trials, *shape)
            for (name, shape), piece in zip(self._shapes, pieces, strict=False)
        }

    def decaying(self, flat: Float[Tensor, "trial row"]) -> list[Tensor]:
        """Views of the parameters on which weight decay acts."""
        views = self.views(flat)
        return [views[parameter.name] for parameter in self.parameters if parameter.decays]

    @cached_property
    def groups(self) -> tuple[Group, ...]:
        """The row in pieces that are trained alike."""
        found: list[Group] = []
        first = 0
        for training, some in groupby(self.parameters, _training):
            size = sum(parameter.size for parameter in some)
            found.append(Group(first, size, *training))
            first += size
        return (*found[:-1], replace(found[-1], size=self.row - found[-1].first))

    @cached_property
    def _sizes(self) -> list[int]:
        """Of the parameters, then of the padding."""
        return [*(parameter.size for parameter in self.parameters), self.row - self.used]

    @cached_property
    def _shapes(self) -> list[tuple[str, tuple[int, ...]]]:
        return [(parameter.name, parameter.shape) for parameter in self.parameters]

    def start(self, seeds: Sequence[int]) -> Float[Tensor, "trial row"]:
        """The weights that these seeds start from, on the CPU: the same bits for every device."""
        flat = torch.zeros(len(seeds), self.row)
        first = 0
        for parameter in self.parameters:
            # in pieces, since float64 numbers and their bits take twenty times the room of weights
            for begin in range(0, parameter.size, _AT_ONCE):
                size = min(_AT_ONCE, parameter.size - begin)
                place = slice(first + begin, first + begin + size)
                index = torch.arange(place.start, place.stop).expand(len(seeds), -1)
                draws = Draws(torch.tensor(seeds)[:, None], index, START)
                flat[:, place] = _started(parameter, draws)
            first += parameter.size
        return flat


def _started(parameter: Parameter, draws: Draws) -> Float[Tensor, "trial piece"] | float:
    """The first lane is for normal numbers, the second for uniform ones."""
    if parameter.start == "constant":
        return parameter.scale
    if parameter.start == "normal":
        return (draws.normal() * parameter.scale).to(torch.float32)
    draws.skip(1)
    return ((2 * draws.uniform() - 1) * parameter.scale).to(torch.float32)


def _training(parameter: Parameter) -> tuple[float, float, bool]:
    return parameter.rate, parameter.sgd_rate, parameter.decays


def linear_parameters(name: str, inputs: int, outputs: int) -> tuple[Parameter, ...]:
    """Weight and bias of a linear map; outputs start with the variance of the inputs."""
    return (
        Parameter(f"{name}.weight", (inputs, outputs), "normal", inputs**-0.5),
        Parameter(f"{name}.bias", (outputs,), "constant", 0.0),
    )


def uniform_start(parameters: Iterable[Parameter]) -> Iterator[Parameter]:
    """The same with linear maps that start uniform on +-1/sqrt(inputs), biases of zero included.

    A third of the variance of `linear_parameters`; all else starts as it did.
    Source: torch.nn.Linear, documentation.
    """
    bound = 1.0
    for parameter in parameters:
        linear = parameter.name.endswith(".weight") and parameter.start == "normal"
        zero_bias = parameter.name.endswith(".bias") and parameter.scale == 0
        if linear:
            bound = parameter.shape[0] ** -0.5  # of its bias as well, which follows
        if linear or zero_bias:
            parameter = replace(parameter, start="uniform", scale=bound)
        yield parameter


def norm_parameters(name: str, width: int) -> tuple[Parameter, ...]:
    """Gain and shift of a layer norm."""
    return (
        Parameter(f"{name}.gain", (width,), "constant", 1.0),
        Parameter(f"{name}.shift", (width,), "constant", 0.0),
    )


def linear(
    weights: Weights, name: str, x: Float[Tensor, "trial *batch inputs"]
) -> Float[Tensor, "trial *batch outputs"]:
    """One linear map a trial, all trials in one product."""
    weight, bias = weights[f"{name}.weight"], weights[f"{name}.bias"]
    if weight.shape[-1] == 1:
        # a product with one column takes another kernel, whose bits depend on the number of trials
        return linear_map(weight, x) + bias.view(-1, *[1] * (x.ndim - 1))
    added = bias if bias.shape[0] == 1 else bias.unsqueeze(1)
    if x.ndim == 3:
        return torch.baddbmm(added, x, weight)
    return torch.baddbmm(added, x.flatten(1, -2), weight).view(*x.shape[:-1], -1)


def linear_map(
    weight: Float[Tensor, "trial inputs outputs"], x: Float[Tensor, "trial *batch inputs"]
) -> Float[Tensor, "trial *batch outputs"]:
    """One linear map without bias a trial."""
    if weight.shape[-1] == 1:  # as in `linear`
        return (x * weight.view(-1, *[1] * (x.ndim - 2), x.shape[-1])).sum(dim=-1, keepdim=True)
    return torch.bmm(x.flatten(1, -2), weight).unflatten(1, x.shape[1:-1])


def can_look(tensor: Tensor) -> bool:
    """Whether its numbers can be looked at for nothing: a GPU has to be waited for, and a tensor
    with which memory is counted has none.
    """
    return tensor.device.type == "cpu" and type(tensor) is Tensor


def is_traced() -> bool:
    """Whether operations are written down, to be compiled, and not done."""
    return get_proxy_mode() is not None


def elementwise(function: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """An activation, with bits that do not depend on the number of trials.

    Vector code takes the last numbers of a tensor one by one, by another approximation of exp or
    erf; unless each trial ends on the vector's stride, trials are taken one after the other.
    """
    if x.shape[0] == 1 or x[0].numel() % _STRIDE == 0:
        return function(x)
    return torch.stack([function(trial) for trial in x])


def layer_norm(
    weights: Weights, name: str, x: Float[Tensor, "trial *batch width"]
) -> Float[Tensor, "trial *batch width"]:
    """Layer norm with gain and shift of each trial.

    Source: Ba, Kiros and Hinton 2016, arXiv:1607.06450, equation 4.
    """
    gain, shift = weights[f"{name}.gain"], weights[f"{name}.shift"]
    size = x.shape[-1:]
    if x.device.type == "cpu" and x.shape[0] == 1:
        return torch.layer_norm(x, size, gain.view(-1), shift.view(-1))
    # on a CPU one pass over each trial beats several over all of them, where trials are not tiny;
    # both give the same bits, but not to the gradients of gain and shift. A compiler fuses the passes
    large = torch.is_grad_enabled() or x[0].numel() >= _MANY
    if x.device.type == "cpu" and large and not is_traced():
        trials = zip(x.unbind(), gain.unbind(), shift.unbind(), strict=True)
        return torch.stack([F.layer_norm(own, size, g, s) for own, g, s in trials])
    own = (-1, *[1] * (x.ndim - 2), *size)
    return torch.addcmul(shift.view(own), F.layer_norm(x, size), gain.view(own))


def embedding(
    table: Float[Tensor, "trial entry width"], index: Int[Tensor, "trial *batch"]
) -> Float[Tensor, "trial *batch width"]:
    """Rows of each trial's own table: one look-up in all tables laid end to end."""
    trials, entries, _ = table.shape
    if trials == 1:
        return F.embedding(index, table.squeeze(0))
    offset = (torch.arange(trials, device=index.device) * entries).view(-1, *[1] * (index.ndim - 1))
    return F.embedding(index + offset, table.flatten(0, 1))
