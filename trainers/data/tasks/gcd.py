import math
from collections.abc import Mapping
from typing import Literal

import torch
from jaxtyping import Int
from pydantic import Field
from torch import Tensor
from typing_extensions import override

from trainers.data.draws import Draws
from trainers.data.task import Bounds, ClassedTask, Problems

_TRIES = 40  # a pair is coprime with probability 0.61: 40 misses in a row happen once in 10^16


class Gcd(ClassedTask):
    """Given (a, b), predict gcd(a, b); a and b are uniform on 1..largest.

    Source: Charton 2023, arXiv:2308.15594, section 2.
    """

    kind: Literal["gcd"] = "gcd"
    largest: int = Field(default=1_000_000, ge=2, le=10**12)
    top_class: int = Field(default=100, ge=1, le=1_000)  # GCDs up to here are tested one by one

    @override
    def problems(self, draws: Draws) -> Problems:
        a, b = draws.integers(1, self.largest), draws.integers(1, self.largest)
        return Problems(question=torch.stack([a, b], dim=-1), answer=torch.gcd(a, b)[..., None])

    @override
    def bounds(self) -> Bounds:
        return Bounds(question=(self.largest, self.largest), answer=(self.largest,))

    @override
    def classes(self) -> tuple[int, ...]:
        return tuple(range(1, min(self.top_class, self.largest) + 1))

    @override
    def problems_of(self, classes: Int[Tensor, "*batch"], draws: Draws) -> Problems:
        """Coprime (a', b') up to largest / k, by rejection, times k: the paper's stratified set."""
        limit = self.largest // classes
        a, b = torch.ones_like(classes), torch.ones_like(classes)
        found = torch.zeros_like(classes, dtype=torch.bool)
        for _ in range(_TRIES):
            new_a, new_b = draws.integers(1, limit), draws.integers(1, limit)
            take = ~found & (torch.gcd(new_a, new_b) == 1)
            a, b = torch.where(take, new_a, a), torch.where(take, new_b, b)
            found |= take
        question = torch.stack([a * classes, b * classes], dim=-1)
        return Problems(question=question, answer=classes[..., None])

    @override
    def theory(self, learned: frozenset[int], modal: Mapping[int, int]) -> dict[str, float]:
        """Accuracy on natural pairs if exactly the learned GCDs are right, and how far R3 holds.

        P(gcd = k) = 6 / (pi^2 k^2), so accuracy = 6/pi^2 * sum over the learned k of 1/k^2.
        R3: the answer to a pair with GCD k is the largest learned divisor of k.
        """
        oracle = 6 / math.pi**2 * math.fsum(1 / k**2 for k in learned)
        by_rule = [
            modal[k] == max((d for d in learned if k % d == 0), default=0) for k in sorted(modal)
        ]
        return {
            "oracle_accuracy": oracle,
            "largest_divisor_rule": sum(by_rule) / len(by_rule) if by_rule else 0.0,
        }
