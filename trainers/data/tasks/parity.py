from typing import Any, Literal

from pydantic import Field
from typing_extensions import override

from trainers.data.draws import Draws
from trainers.data.material.automaton import Automaton, extracted, minimal, same
from trainers.data.material.lengths import (
    Length,
    lengths_of_sequences,
    random_line,
    uniform_lengths,
    within,
)
from trainers.data.task import HOLE, ConcludedTask, Finished, Lines, SymbolTask

_LONGEST = 12  # of training lines that are all read to find the automaton: 16,382 of them

_PARITY = Automaton(first=(0, 1), after=((0, 1), (1, 0)), says=(0, 1))


class Parity(SymbolTask, ConcludedTask):
    """Given bits, predict the parity of their sum, or those of the first 1, 2, ... of them.

    Lengths follow `law`: `uniform` makes every length of `length` equally likely, `sequences` every
    sequence of bits, so that length L has weight 2^L. Examples whose index falls into the same
    `run` have one length: with fresh data and `run` equal to the batch size, every batch has.
    Of a finished recurrent network it concludes how many states its hidden vectors merge into over
    all lines up to the training length (`automaton_states`), how many are left of them once those
    that no line tells apart are one (`minimal_states`; two suffice), and whether that automaton
    gives the parity of every line, however long (`automaton_exact`).
    Source: van Rossem and Saxe 2025, arXiv:2507.09897, the streaming parity task.
    """

    kind: Literal["parity"] = "parity"
    length: Length = (1, 10)
    law: Literal["uniform", "sequences"] = "uniform"
    run: int = Field(default=1, ge=1, le=10**7)
    every_step: bool = False

    @override
    def alphabet(self) -> tuple[str, ...]:
        return "0", "1"

    @override
    def lines(self, draws: Draws) -> Lines:
        longest = self.length[1]
        if self.law == "uniform":
            lengths = uniform_lengths(draws, self.length, self.run)
        else:
            lengths = lengths_of_sequences(draws, self.length, self.run, symbols=2)
        real = within(lengths, longest)
        bits = random_line(draws, longest) % 2 * real
        parities = bits.cumsum(dim=-1) % 2
        answer = parities.where(real, HOLE) if self.every_step else parities[..., -1:]
        return Lines(question=bits.where(real, HOLE), answer=answer)

    @override
    def lengths(self) -> tuple[int, int]:
        return self.length[1], self.length[1] if self.every_step else 1

    @override
    def answers_have_one_length(self) -> bool:
        return not self.every_step or self.length[0] == self.length[1]

    @override
    def conclusions(self) -> tuple[str, ...]:
        return "automaton_states", "minimal_states", "automaton_exact"

    @override
    def conclude(self, finished: Finished) -> tuple[dict[str, float], dict[str, Any]]:
        longest = self.length[1]
        if finished.read is None or self.every_step or longest > _LONGEST:
            return {}, {}
        whole = extracted(finished.read, symbols=2, longest=longest)
        least = minimal(whole)
        metrics = {
            "automaton_states": float(len(whole.says)),
            "minimal_states": float(len(least.says)),
            "automaton_exact": float(same(least, _PARITY)),
        }
        return metrics, {}
