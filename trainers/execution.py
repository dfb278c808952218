"""How the steps of a pack are run: which way, in how many parts, in how much memory."""

from dataclasses import dataclass
from typing import Literal

Mode = Literal["eager", "compiled", "graphed"]


@dataclass(frozen=True)
class Execution:
    """How a pack's steps are run; it may change the last bits of a result, and nothing else.

    Eager calls one kernel after the other, compiled fuses them beforehand (`torch.compile`), graphed
    replays a whole captured step on a GPU. A batch may be taken in `parts`, whose gradients are summed,
    and activations may be made again in the backward pass instead of being kept.
    """

    mode: Mode = "eager"
    parts: int = 1
    recompute: bool = False
