"""How the steps of a pack are run: which way, in how many parts, in how much memory."""

import re
from dataclasses import dataclass
from typing import Literal, get_args

Mode = Literal["eager", "compiled", "graphed"]


@dataclass(frozen=True)
class Execution:
    """How a pack's steps are run; it may change the last bits of a result, and nothing else.

    Eager calls one kernel after the other, compiled fuses them beforehand (`torch.compile`), graphed
    replays a whole captured step on a GPU. A batch may be taken in `parts`, whose gradients are summed,
    and activations may be made again in the backward pass instead of being kept. Several `ranks`,
    processes with a GPU each, take a share of every batch each; their steps are eager.
    """

    mode: Mode = "eager"
    parts: int = 1
    recompute: bool = False
    ranks: int = 1

    @property
    def words(self) -> str:
        """What of it decides the last bits of a result; a recomputed activation has the same."""
        parts = "" if self.parts == 1 else f" in {self.parts} parts"
        return self.mode + parts + ("" if self.ranks == 1 else f" on {self.ranks} ranks")


def execution_of(words: str) -> Execution:
    """The execution with these words.

    Raises:
        ValueError: there is none.
    """
    found = _WORDS.fullmatch(words)
    if found is None:
        raise ValueError(f"expected an execution like `eager` or `eager in 4 parts`, got {words}")
    mode: Mode = next(mode for mode in get_args(Mode) if mode == found[1])
    return Execution(mode, int(found[2] or 1), ranks=int(found[3] or 1))


_WORDS = re.compile(
    rf"({'|'.join(get_args(Mode))})(?: in (\d{{1,6}}) parts)?(?: on (\d{{1,4}}) ranks)?"
)
