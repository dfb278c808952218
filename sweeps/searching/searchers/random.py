"""Suggest points at random."""

from collections.abc import Sequence

from sweeps.search import RandomSearcher
from sweeps.searching.past import Past
from sweeps.searching.points import Point, Space, drawn
from sweeps.spec import Objective


def suggest(
    searcher: RandomSearcher,
    space: Space,
    past: Sequence[Past],
    objective: Objective,
    words: str,
) -> Point:
    """A point that depends on `words` alone."""
    return drawn(space, f"{searcher.seed} {words}")
