"""A finding: a code that stays, and a sentence for people with the numbers that it rests on."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Finding:
    """A warning: a code that stays, words for people, and the status that it forces, if any."""

    code: str
    text: str
    status: Literal["", "at a bound", "not identified", "not converged"] = ""
