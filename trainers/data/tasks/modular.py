from typing import Literal

import torch
from pydantic import Field
from typing_extensions import override

from trainers.data.draws import Draws
from trainers.data.task import Bounds, IntegerTask, Problems


class Modular(IntegerTask):
    """Given (a, b), predict a + b, a - b or a * b modulo `modulus`; a, b are uniform on 0..largest.

    Source: Charton and Kempe 2024, arXiv:2410.07041, products modulo 67 of operands up to 10^6.
    """

    kind: Literal["modular"] = "modular"
    operation: Literal["add", "subtract", "multiply"] = "multiply"
    modulus: int = Field(default=67, ge=2, le=10**9)
    largest: int = Field(default=1_000_000, ge=1, le=10**9)  # 10^9 squared still fits 63 bits

    @override
    def problems(self, draws: Draws) -> Problems:
        a, b = draws.integers(0, self.largest), draws.integers(0, self.largest)
        value = {"add": a + b, "subtract": a - b, "multiply": a * b}[self.operation]
        return Problems(
            question=torch.stack([a, b], dim=-1), answer=(value % self.modulus)[..., None]
        )

    @override
    def bounds(self) -> Bounds:
        return Bounds(question=(self.largest, self.largest), answer=(self.modulus - 1,))
