"""The automaton in a recurrent network: its hidden states merged where near, then minimised."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

NEAR = 0.01
"""States are one where they lie nearer than this share of how far all of them spread."""

Read = Callable[
    [Int[Tensor, "line place"]], tuple[Float[Tensor, "line state"], Int[Tensor, " line"]]
]
"""The hidden state after each of some lines of equal length, and the answer that is read off it."""


@dataclass(frozen=True)
class Automaton:
    """A deterministic automaton that reads lines of at least one symbol.

    Nothing is asked of the empty line, so there is no state before the first symbol: `first` is the
    state after each first symbol, `after` the next state of each state after each symbol.
    """

    first: tuple[int, ...]
    after: tuple[tuple[int, ...], ...]
    says: tuple[int, ...]  # the answer in each state


def extracted(read: Read, symbols: int, longest: int) -> Automaton:
    """The automaton of a network over all lines of 1 to `longest` symbols.

    Lines are read in order of their length. One whose hidden state is nearer than `NEAR` times the
    spread (the root of the summed variances) to that of an earlier line is in its state, another one
    is the first line of a new state, and where that leads decides the transitions. From the longest
    lines they lead to the nearest state there is.
    Source: van Rossem and Saxe 2025, arXiv:2507.09897, for the merging.
    """
    found = [read(_lines(symbols, length)) for length in range(1, longest + 2)]
    vectors = torch.cat([vector.detach().double().cpu() for vector, _ in found])
    answers = torch.cat([answer.cpu() for _, answer in found]).tolist()
    inner = len(vectors) - symbols ** (longest + 1)  # lines of at most `longest` symbols
    spread = float(vectors[:inner].var(dim=0, correction=0).sum().sqrt())
    leaders: list[int] = []
    state = [0] * len(vectors)
    near = torch.empty_like(vectors[:inner])  # the vectors of the states so far
    for line in range(len(vectors)):
        gap, place = float("inf"), -1
        if leaders:
            gaps = torch.linalg.vector_norm(near[: len(leaders)] - vectors[line], dim=1)
            place = int(gaps.argmin())
            gap = float(gaps[place])
        # of a network whose states are all the same the spread is 0
        if line < inner and not (gap < NEAR * spread or gap == 0):
            near[len(leaders)] = vectors[line]
            place = len(leaders)
            leaders.append(line)
        state[line] = place
    return Automaton(
        first=tuple(state[:symbols]),
        # after line i come, in this order, lines (i + 1) * symbols and those that follow
        after=tuple(
            tuple(state[(line + 1) * symbols + symbol] for symbol in range(symbols))
            for line in leaders
        ),
        says=tuple(answers[line] for line in leaders),
    )


def minimal(automaton: Automaton) -> Automaton:
    """The smallest automaton that says the same of every line.

    States that no line reaches are left out; the others are told apart by what they say, then by
    where they lead, until nothing more tells any two apart.
    Source: Moore 1956, Gedanken-experiments on sequential machines.
    """
    reached = _reached(automaton)
    part = {state: automaton.says[state] for state in reached}
    count = 0
    while count < len(set(part.values())):
        count = len(set(part.values()))
        seen = {
            state: (part[state], *(part[after] for after in automaton.after[state]))
            for state in reached
        }
        numbers = {one: number for number, one in enumerate(dict.fromkeys(seen.values()))}
        part = {state: numbers[seen[state]] for state in reached}
    one_of = {number: state for state, number in reversed(part.items())}
    states = [one_of[number] for number in range(count)]
    return Automaton(
        first=tuple(part[state] for state in automaton.first),
        after=tuple(tuple(part[after] for after in automaton.after[state]) for state in states),
        says=tuple(automaton.says[state] for state in states),
    )


def same(one: Automaton, other: Automaton) -> bool:
    """Whether two automata over as many symbols say the same of every line, however long."""
    pairs = list(zip(one.first, other.first, strict=True))
    met = set(pairs)
    while pairs:
        mine, theirs = pairs.pop()
        if one.says[mine] != other.says[theirs]:
            return False
        new = {*zip(one.after[mine], other.after[theirs], strict=True)} - met
        met |= new
        pairs += new
    return True


def _reached(automaton: Automaton) -> Sequence[int]:
    """The states that some line leads to, the one of the shortest line first."""
    reached = list(dict.fromkeys(automaton.first))
    for state in reached:  # grows while it is walked through
        reached += [one for one in dict.fromkeys(automaton.after[state]) if one not in reached]
    return reached


def _lines(symbols: int, length: int) -> Int[Tensor, "line {length}"]:
    """All lines of so many symbols, in the order of the numbers that they write."""
    powers = symbols ** torch.arange(length - 1, -1, -1)
    return torch.arange(symbols**length)[:, None] // powers % symbols
