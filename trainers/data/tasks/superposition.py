import math
from typing import Any, Literal

import torch
from jaxtyping import Float
from pydantic import Field, model_validator
from torch import Tensor
from typing_extensions import override

from trainers.data.draws import Draws
from trainers.data.task import ConcludedTask, Finished, NumberTask, Samples

Law = Literal["power", "exponential", "linear"]

_SURE = 40.0  # rate of hits of a feature that is always active: it is missed once in 10^17 examples
_NEVER = 2.0**-54  # below the resolution of a uniform number


class Superposition(NumberTask, ConcludedTask):
    """Sparse features to be given back: x_i is uniform on (0, 2) with probability p_i, else 0.

    p_i falls with i = 1, 2, ... as i^-alpha (power), as exp(-(i - 1) / scale) (exponential) or to
    0 in a straight line (linear), and adds up to `active` features an example. The loss is the
    mean over features as everywhere; times `features` it is the sum that the source plots.
    Source: Liu, Liu and Gore 2025, arXiv:2505.10465.
    """

    kind: Literal["superposition"] = "superposition"
    features: int = Field(default=200, ge=2, le=100_000)
    law: Law = "power"
    alpha: float | None = Field(default=None, ge=0, le=10)  # of the power law; null: 1
    scale: float | None = Field(default=None, gt=0, le=1e6)  # of the exponential law; null: 1,000
    active: float = Field(default=1.0, gt=0, le=100)

    @model_validator(mode="after")
    def _possible(self) -> "Superposition":
        for field, law in (("alpha", "power"), ("scale", "exponential")):
            if getattr(self, field) is not None and self.law != law:
                raise ValueError(f"expected {field} with the law {law} alone, got {self.law}")
        likeliest = float(self.probabilities()[0])
        if likeliest > 1 + 1e-9:
            raise ValueError(
                f"expected no feature more often than always, got a probability of {likeliest:.4g};"
                " lower active"
            )
        return self

    def probabilities(self) -> Float[Tensor, " feature"]:
        """p_i of every feature, in float64."""
        place = torch.arange(self.features, dtype=torch.float64)
        if self.law == "power":
            weight = (place + 1) ** -(1.0 if self.alpha is None else self.alpha)
        elif self.law == "exponential":
            weight = torch.exp(-place / (1_000.0 if self.scale is None else self.scale))
        else:
            weight = self.features - place
        return weight * (self.active / weight.sum())

    def left_out_loss(self, share: float) -> float:
        """Loss of giving back this share of the features perfectly, the likeliest, and no other.

        4/3, the mean square of a number uniform on (0, 2), times the p_i of the others: the theory
        of weak superposition, whose asymptotic form is width^-(alpha - 1).
        Source: Liu, Liu and Gore 2025, arXiv:2505.10465.
        """
        first = round(share * self.features)
        return 4 / 3 * float(self.probabilities()[first:].sum()) / self.features

    @override
    def conclusions(self) -> tuple[str, ...]:
        return "represented_share", "left_out_loss"

    @override
    def conclude(self, finished: Finished) -> tuple[dict[str, float], dict[str, Any]]:
        weight = finished.weights.get("weight")
        if weight is None:  # another model than a tied autoencoder
            return {}, {}
        share = represented(weight)
        return {"represented_share": share, "left_out_loss": self.left_out_loss(share)}, {}

    @override
    def samples(self, draws: Draws) -> Samples:
        # Not one draw a feature, which for 10,000 features would take most of a step: events fall
        # on features at Poisson rates -log(1 - p), and a feature is active where one falls on it.
        counts, places = (table.to(draws.device) for table in _tables(self))
        most, last = len(counts), self.features
        uniform = draws.integer_rows(2 * most + 1, 0, (1 << 53) - 1).to(torch.float64) * 2.0**-53
        hits = torch.searchsorted(counts, uniform[..., -1:].contiguous())
        features = torch.searchsorted(places, uniform[..., :most].contiguous()).clamp(max=last - 1)
        features = torch.where(torch.arange(most, device=draws.device) < hits, features, last)
        values = 2 * uniform[..., most : 2 * most]
        x = torch.zeros(*draws.index.shape, last + 1, dtype=torch.float64, device=draws.device)
        for event in range(most):  # of several on one feature the last one decides, on any device
            place = slice(event, event + 1)
            x.scatter_(-1, features[..., place], values[..., place])
        x = x[..., :last]
        return Samples(inputs=x, targets=x)

    @override
    def sizes(self) -> tuple[int, int]:
        return self.features, self.features


def represented(weight: Float[Tensor, "feature width"]) -> float:
    """Share of the features with a place in the bottleneck: those whose row is longer than 1/2.

    About width / inputs in weak superposition, about 1 in strong superposition.
    Source: Liu, Liu and Gore 2025, arXiv:2505.10465.
    """
    return float((torch.linalg.vector_norm(weight, dim=-1) > 0.5).double().mean())


def _tables(task: Superposition) -> tuple[Float[Tensor, " count"], Float[Tensor, " feature"]]:
    """Distribution functions of the number of events of an example, and of the feature of one."""
    rates = (-torch.log1p(-task.probabilities().clamp(max=1.0))).clamp(max=_SURE)
    total = float(rates.sum())
    count = torch.arange(int(total + 20 * math.sqrt(total) + 60), dtype=torch.float64)
    chance = torch.exp(count * math.log(total) - total - torch.lgamma(count + 1))
    likely = (count <= total) | (chance >= _NEVER)
    return chance[likely].cumsum(0), rates.cumsum(0) / total
