"""How long a sweep will take: the plan's price, corrected by the pace that is seen."""

import heapq
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from sweeps.watching.seen import Seen

_BELIEVED_S = 60.0  # of one worker: what the plan's price weighs against what was seen


@dataclass(frozen=True)
class Forecast:
    """What the plan expects of a launch, on one worker each."""

    workers: int
    packs: tuple[tuple[str, ...], ...]  # keys of trials that share a worker, in the order of start
    seconds: Mapping[str, float]  # of what is left of each trial when the launch begins
    widths: tuple[int, ...] = ()  # how many of each pack train at once; without it, all

    def left_s(self, seen: Iterable[Seen], first_steps: Mapping[str, int], since_ms: int) -> float:
        """Seconds until the last pack is done, from where each trial stands.

        `first_steps` are the steps that each trial had when the launch began. The pace is what was
        trained by the time of each trial's last report, in the plan's seconds, over the seconds that
        it took; before a minute of that the plan counts for more than what is seen.
        """
        done: dict[str, float] = {}
        worth_s = spent_s = _BELIEVED_S
        widths = self.widths or tuple(map(len, self.packs))
        sizes = {key: width for pack, width in zip(self.packs, widths, strict=True) for key in pack}
        for trial in seen:
            key = trial.record["key"]
            if key not in sizes:
                continue
            before = first_steps.get(key, 0)
            planned = max(1, trial.record["steps"] - before)
            trained = max(0.0, min(1.0, (trial.step - before) / planned))
            done[key] = 1.0 if trial.ending is not None else trained
            if trial.started_ms >= since_ms and trial.last_ms > trial.started_ms and trained > 0:
                worth_s += self.seconds[key] * trained
                spent_s += (trial.last_ms - trial.started_ms) / 1000 / sizes[key]
        free = [0.0] * max(1, self.workers)
        for pack in self.packs:
            rest_s = sum(self.seconds[key] * (1.0 - done.get(key, 0.0)) for key in pack)
            heapq.heapreplace(free, free[0] + rest_s)
        return max(free) * spent_s / worth_s
