"""What a scheduler's file makes: Ray Tune's own scheduler, how it is brought up to date, and its words."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast

from ray.tune.experiment import Trial
from ray.tune.schedulers import TrialScheduler

PROGRESS = "progress"
"""The name by which schedulers see how far a trial is, in millionths of its own budget."""

WHOLE = 1_000_000


class Nobody:
    """In the place of Tune's controller, where a scheduler is told of an earlier launch."""

    def get_live_trials(self) -> tuple[Trial, ...]:
        """None lives."""
        return ()


NOBODY: Any = Nobody()


@dataclass(frozen=True)
class Judged:
    """A trial as a scheduler knows it: by its key, so that it is the same one after a resume."""

    trial_id: str


@dataclass(frozen=True)
class Bracket:
    """Trials that are judged by each other, and by no others."""

    scheduler: TrialScheduler
    weight: float  # of all trials, this share of the sum of weights comes here
    replay: Callable[[Judged, Mapping[str, Any]], None]  # take a result in without deciding
    measure: Callable[[int], str]  # what a trial at this progress is measured against now


def as_trial(judged: Judged) -> Trial:
    """For Ray's schedulers, which ask a trial for nothing but its name."""
    return cast(Trial, judged)
