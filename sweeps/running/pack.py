"""Train one pack out of the ledger and back into it; knows neither Ray nor MLflow."""

from collections import defaultdict, deque
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass

from sweeps.running.breaker import Breaker
from sweeps.running.desk import Desk, Opened
from sweeps.running.rows import Rows
from sweeps.running.watchdog import Watchdog
from sweeps.storage.ledger import Ledger
from sweeps.storage.left import Cause
from trainers.config import TrialConfig
from trainers.engine.execution import Execution
from trainers.result import Ended, Event


def train_pack(
    ledger: Ledger,
    configs: Sequence[TrialConfig],
    *,
    width: int | None = None,
    execution: Execution = Execution(),  # noqa: B008 - frozen
    device: str,
    save_every_s: float,
    should_stop: Callable[[], bool],
    leaves_as: Callable[[], Cause] = lambda: "stopped",
    allow_drift: bool = False,
    watchdog: Watchdog | None = None,
    breaker: Breaker | None = None,
) -> Iterator[Event]:
    """Train what is open of a pack, `width` trials at once, each from its newest valid checkpoint.

    Whenever one ends, the next in line takes its row; only then does its attempt begin. Without a width
    all train at once. Yields each event once it is on the disk. Asked to stop, every trial that trains is
    saved, to go on later. What fails ends as `failed`: where it is not clear whose fault it was, parts of
    the pack are tried again, one after the other, as `history` tells. A trial that has an outcome is not
    touched, also a failed one. A trial goes on in the execution in which it began, whatever is asked for;
    and one whose code, torch or machine has changed since it was left stays open, and says so: unless
    `allow_drift`. `leaves_as` says why it was asked to stop.

    Raises:
        Halted: the disk is full.
        OSError: the ledger could not be written; nothing that was is lost.
    """
    desk = Desk(
        ledger, device, save_every_s, should_stop, leaves_as, allow_drift, watchdog, breaker
    )
    full = width or max(1, len(configs))
    parts = _Parts(desk, deque([_Part(deque(configs), execution, execution, full, full)]))
    while parts.left and not should_stop():
        part = parts.left[0]
        opened = yield from parts.first_of(part)
        if opened:
            yield from parts.train(part, opened)
        elif not part.queue:
            parts.left.remove(part)  # which need not be the first any more


@dataclass(eq=False)
class _Part:
    """Trials that wait for each other's rows, the next one first."""

    queue: deque[TrialConfig]
    asked: Execution
    execution: Execution  # as they train: as they began, or as they fit into memory
    planned: int  # how many were to train at once
    width: int  # how many do: fewer where their history says so
    refills: bool = (
        True  # whether a row that becomes free is taken; not where a trial is under suspicion
    )

    def takes(self, trial: Opened) -> bool:
        """Whether a trial may train beside as many others, and as they do."""
        wide_enough = trial.history.largest_pack(self.planned) >= self.width
        return wide_enough and trial.execution == self.execution


@dataclass
class _Parts:
    """What is left of a pack; those that must go apart come first."""

    desk: Desk
    left: deque[_Part]

    def first_of(self, part: _Part) -> Generator[Event, None, list[Opened]]:
        """The trials with which a part begins; none when some were put apart, to be tried before."""
        found: list[Opened] = []
        while part.queue and len(found) < part.width:
            each = self.desk.opened(part.queue.popleft(), part.asked)
            if isinstance(each, Ended):
                yield each
            elif each is not None:
                found.append(each)
        fitting = [each for each in found if part.takes(each)]
        if len(fitting) == len(found):
            return found
        part.queue.extendleft(each.config for each in reversed(fitting))
        self._put_apart(part, [each for each in found if not part.takes(each)])
        return []

    def train(self, part: _Part, opened: Sequence[Opened]) -> Iterator[Event]:
        """Train trials, and those that wait behind them; what is to be tried again waits first."""
        apart: list[Opened] = []

        def following() -> Opened | Ended | None:
            while part.queue and part.refills:
                found = self.desk.opened(part.queue.popleft(), part.asked)
                if isinstance(found, Ended) or (found is not None and part.takes(found)):
                    return found
                if found is not None:
                    apart.append(found)
            return None

        rows = Rows(self.desk, part.execution, len(opened), following)
        starts = [start for each in opened if (start := rows.begin(each)) is not None]
        if not starts:
            return
        yield from rows.train(starts)
        problem = rows.problem
        again = rows.leave() if problem is None else (yield from rows.failed(problem))
        part.queue.extendleft(reversed(again))
        if problem is not None and problem.is_memory:  # those behind have as little
            part.width = max(1, part.width // 2)
        self._put_apart(part, apart)

    def _put_apart(self, part: _Part, trials: Sequence[Opened]) -> None:
        """Trials that need fewer beside them, or another execution, wait in parts of their own."""
        groups: defaultdict[tuple[Execution, int], deque[TrialConfig]] = defaultdict(deque)
        for each in trials:
            width = min(part.width, each.history.largest_pack(part.planned))
            groups[each.execution, width].append(each.config)
        self.left.extendleft(
            _Part(queue, part.asked, execution, part.planned, width, refills=width == part.width)
            for (execution, width), queue in reversed(groups.items())
        )
