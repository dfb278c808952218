from typing import Any, Literal

import torch
from pydantic import Field
from typing_extensions import override

from trainers.data.draws import TRAIN, Draws
from trainers.data.material.ntk_ensembles import (
    LARGEST_EXHAUSTIVE,
    member_loss,
    smallest_for_all,
    smallest_for_one,
    smallest_for_typical,
)
from trainers.data.task import ConcludedTask, Finished, NumberTask, Samples


class BitPermutation(NumberTask, ConcludedTask):
    """Given `bits` bits, not all of them 0, predict them in another order: each one place further.

    Training sees the basis vectors alone, in an order of the seed; tests see random nonzero inputs.
    Inputs and answers are scaled to length one, which changes no sign. No order of the bits is harder
    than another for a network whose inputs are alike. With the model `ntk_mlp` theory says what one
    network's error is, and how many must be averaged to be exact with probability `confidence`.
    Source: Giapitzakis, Back de Luca and Fountoulakis 2025, arXiv:2502.16763.
    """

    kind: Literal["bit_permutation"] = "bit_permutation"
    bits: int = Field(default=62, ge=2, le=62)
    confidence: float = Field(default=0.99, ge=0.5, le=0.995)

    @override
    def samples(self, draws: Draws) -> Samples:
        if draws.domain == TRAIN:
            number = 1 << draws.cell(self.bits, 1.0)
        else:
            number = draws.integers(1, 2**self.bits - 1)
        bits = ((number[..., None] >> torch.arange(self.bits, device=draws.device)) & 1).double()
        inputs = bits / bits.sum(dim=-1, keepdim=True).sqrt()
        return Samples(inputs=inputs, targets=inputs.roll(1, dims=-1))

    @override
    def sizes(self) -> tuple[int, int]:
        return self.bits, self.bits

    @override
    def conclusions(self) -> tuple[str, ...]:
        return "closed_form_loss", "members_for_one", "members_for_typical", "members_for_all"

    @override
    def conclude(self, finished: Finished) -> tuple[dict[str, float], dict[str, Any]]:
        """What theory says of infinitely wide networks; the least members that are enough.

        `members_for_one` is for the hardest input, `members_for_typical` for a random one, and
        `members_for_all` for all at once, which is left out where there are too many.
        """
        if "gaussian.weight" not in finished.weights:  # another model than that of the theory
            return {}, {}
        found = {
            "closed_form_loss": member_loss(self.bits),
            "members_for_one": float(smallest_for_one(self.bits, self.confidence)),
            "members_for_typical": float(smallest_for_typical(self.bits, self.confidence)),
        }
        if self.bits <= LARGEST_EXHAUSTIVE:
            found["members_for_all"] = float(
                smallest_for_all(self.bits, self.confidence, finished.seed)
            )
        return found, {}
