"""How a pack may train: so many trials at once, and how its steps are run."""

from collections.abc import Mapping
from typing import NamedTuple, get_args

from trainers.engine.execution import Execution, Mode

_LADDERS = {"cpu": (1, 4, 8, 16), "cuda": (1, 4, 8, 16, 32, 64)}


class Way(NamedTuple):
    """So many trials at once, in this mode."""

    width: int
    mode: Mode = "eager"

    @property
    def words(self) -> str:
        """As it is kept: `eager 8`."""
        return f"{self.mode} {self.width}"

    @property
    def execution(self) -> Execution:
        """How the steps of such a pack are run."""
        return Execution(self.mode)

    @classmethod
    def of(cls, words: str) -> "Way":
        """The way with these words.

        Raises:
            ValueError: there is none.
        """
        name, _, width = words.partition(" ")
        for mode in get_args(Mode):
            if mode == name:
                return cls(int(width), mode)
        raise ValueError(f"expected a way like `eager 8`, got {words}")


ALONE = Way(1)
"""One trial at a time, one kernel after the other."""

Ladder = Mapping[Way, float]
"""Seconds of a step of one trial, by how its pack trains; infinite where it was not worth trying."""


def widths(device: str) -> tuple[int, ...]:
    """How many trials may train at once, smallest first; fixed, since bits may hang on it on a GPU."""
    return _LADDERS[device]


def modes(device: str) -> tuple[Mode, ...]:
    """The modes that are tried while a plan is made, since they take no time to prepare."""
    return ("eager", "graphed") if device == "cuda" else ("eager",)
