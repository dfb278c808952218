"""Trials of a shape in packs: each is a queue of which so many train at once, for one worker."""

from collections.abc import Iterator, Sequence
from typing import Protocol, TypeVar

_PACK_S = 20.0  # of work: handing it out costs a tenth of a second, and is then no matter
_ROUNDS = 2  # packs for each worker, so that all end at about the same time
_PREPARATIONS = 10.0  # that a pack lasts, where it has to be prepared


class Lasting(Protocol):
    """What takes its time."""

    @property
    def seconds(self) -> float:
        """On one worker."""
        ...

    @property
    def is_begun(self) -> bool:
        """Whether some of it is done already."""
        ...


Trial = TypeVar("Trial", bound=Lasting)


def queues(
    trials: Sequence[Trial], width: int, *, preparation_s: float, sweep_s: float, workers: int
) -> list[tuple[Trial, ...]]:
    """Trials in queues of about 20 s, the longest first; `sweep_s` is of all shapes on one worker.

    What is begun goes before what is not: were drivers to die again and again, nothing would ever end.
    None is shorter than its width, so that no row is empty while others wait elsewhere. Where a pack
    has to be prepared, there are no more of them than workers, unless each lasts ten times as long.
    """
    ordered = sorted(trials, key=lambda trial: (not trial.is_begun, -trial.seconds))
    whole_s = sum(trial.seconds for trial in ordered)
    most = max(1, len(ordered) // width)
    pack_s = min(_PACK_S, sweep_s / (_ROUNDS * workers))
    if preparation_s:
        pack_s = min(_PREPARATIONS * preparation_s, whole_s / min(workers, most))
    count = max(1, min(most, round(whole_s / pack_s) if pack_s > 0 else most))
    if workers < count < 3 * workers:
        count -= count % workers  # the last round has work for each of them
    return list(_cut(ordered, width, count))


def _cut(trials: Sequence[Trial], width: int, packs: int) -> Iterator[tuple[Trial, ...]]:
    """Neighbours together, so that they end together; each part about as long as the others."""
    left_s = sum(trial.seconds for trial in trials)
    first = 0
    for after in range(packs - 1, 0, -1):
        most = len(trials) - width * after
        last = min(first + width, most)
        taken_s = sum(trial.seconds for trial in trials[first:last])
        quota_s = left_s / (after + 1)
        while last < most and taken_s + trials[last].seconds / 2 < quota_s:
            taken_s += trials[last].seconds
            last += 1
        yield tuple(trials[first:last])
        first, left_s = last, left_s - taken_s
    yield tuple(trials[first:])
