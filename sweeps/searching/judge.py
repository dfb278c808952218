"""The judge of a search, as Ray Tune's scheduler: each cell by itself, every verdict in the ledger."""

import hashlib
import importlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ray.tune.experiment import Trial
from ray.tune.schedulers import TrialScheduler
from typing_extensions import override

from sweeps.running.worker import KEY, OBJECTIVE, SOUND, STEP
from sweeps.searching.book import Book, Entry
from sweeps.searching.judging import NOBODY, PROGRESS, WHOLE, Bracket, Judged, as_trial
from sweeps.storage.attempt import Attempt
from sweeps.storage.ledger import Ledger
from trainers.result import Outcome

if TYPE_CHECKING:
    from ray.tune.execution.tune_controller import TuneController


class Judge(TrialScheduler):
    """Hands every result to the scheduler of its cell; a trial that is to stop is saved, and ends.

    Tune is told to pause it, which makes the worker save its state; then it gets the outcome `stopped`,
    from its own attempt. Results whose numbers are not finite are not judged: that trial diverges.
    """

    def __init__(self, book: Book, ledger: Ledger) -> None:
        super().__init__()
        self._book = book
        self._ledger = ledger
        search, objective = book.outline.search, book.outline.sweep.objective
        self._objective = objective.metric
        self._kind = search.scheduler.kind
        module: Any = importlib.import_module(f"sweeps.searching.schedulers.{self._kind}")
        self._brackets: dict[str, Sequence[Bracket]] = {
            cell: module.brackets(search.scheduler, objective) for cell in book.cells
        }
        self._bracket_of: dict[str, Bracket] = {}
        self._judged: dict[str, int] = {}  # the step up to which each trial was judged
        self._verdicts: dict[str, Verdict] = {}  # of trials that are being saved

    def __getstate__(self) -> dict[str, Any]:
        return {}  # Tune stores its tuner for a restore, which is not used

    def take_in(self, entry: Entry) -> None:
        """Give a trial's earlier points to its scheduler; of an open one the last is kept back."""
        if self._kind == "none":
            return
        folder = self._ledger.trial(entry.trial.key)
        points = folder.points()
        for point in points if folder.outcome() is not None else points[:-1]:
            self._replay(entry, point.step, point.values.get(self._objective, math.nan))

    def goes_on(self, entry: Entry) -> bool:
        """Whether an open trial is to be trained on: its last point is judged, by what is known now.

        Nobody may have heard of that point when the earlier launch ended. A trial that ends here keeps
        the checkpoint that it has.
        """
        points = self._ledger.trial(entry.trial.key).points()
        if not points or not all(map(math.isfinite, points[-1].values.values())):
            return True
        value = points[-1].values.get(self._objective, math.nan)
        verdict = self._judge(NOBODY, entry, points[-1].step, value)
        if verdict is not None:
            self._end(entry, verdict)
        return verdict is None

    @override
    def on_trial_add(self, tune_controller: "TuneController", trial: Trial) -> None:
        """Nothing: a trial is put into its bracket with its first result."""

    @override
    def on_trial_result(
        self, tune_controller: "TuneController", trial: Trial, result: dict[str, Any]
    ) -> str:
        """Let the trial go on, or be saved so that it can be stopped."""
        if STEP not in result:  # a sign of life
            return TrialScheduler.CONTINUE
        key: str = result[KEY]
        entry = self._book.entry(key)
        if key not in self._verdicts and result[SOUND]:
            verdict = self._judge(tune_controller, entry, result[STEP], result[OBJECTIVE])
            if verdict is not None:
                self._verdicts[key] = verdict
        return TrialScheduler.PAUSE if key in self._verdicts else TrialScheduler.CONTINUE

    @override
    def choose_trial_to_run(self, tune_controller: "TuneController") -> Trial | None:
        """The trial that was suggested first; those that are saved by now end before it starts."""
        trials: Sequence[Trial] = tune_controller.get_trials()
        for trial in trials:
            if trial.status == Trial.PAUSED:
                key: str = trial.last_result[KEY]
                self._end(self._book.entry(key), self._verdicts.pop(key))
                tune_controller.stop_trial(trial)
        return next((trial for trial in trials if trial.status == Trial.PENDING), None)

    @override
    def on_trial_error(self, tune_controller: "TuneController", trial: Trial) -> None:
        """Nothing: what it has reported stays true."""

    @override
    def on_trial_complete(
        self, tune_controller: "TuneController", trial: Trial, result: dict[str, Any]
    ) -> None:
        """Nothing: every point was judged when it came."""

    @override
    def on_trial_remove(self, tune_controller: "TuneController", trial: Trial) -> None:
        """Nothing: what it has reported stays true."""

    @override
    def debug_string(self) -> str:
        return f"{self._kind} in {len(self._brackets)} cells"

    def _judge(
        self, tune_controller: Any, entry: Entry, step: int, value: float
    ) -> "Verdict | None":
        """What the scheduler says of a point that is new; None: the trial goes on."""
        key, steps = entry.trial.key, entry.trial.config.steps
        if self._kind == "none" or step <= self._judged.get(key, -1):
            return None  # a worker died, and its successor trains some steps again
        if step >= steps or not math.isfinite(value):
            self._replay(entry, step, value)
            return None  # it ends by itself
        self._judged[key] = step
        bracket = self._bracket(entry)
        told = self._told(entry, step, value)
        against = bracket.measure(told[PROGRESS])
        answer = bracket.scheduler.on_trial_result(tune_controller, as_trial(Judged(key)), told)
        if answer != TrialScheduler.STOP:
            return None
        words = f"{self._kind}: {self._objective} {value:.6g} at step {step:,} of {steps:,}"
        return Verdict(step, f"{words}; {against}")

    def _replay(self, entry: Entry, step: int, value: float) -> None:
        self._judged[entry.trial.key] = step
        if math.isfinite(value):
            told = self._told(entry, step, value)
            self._bracket(entry).replay(Judged(entry.trial.key), told)

    def _bracket(self, entry: Entry) -> Bracket:
        """The bracket of a trial, drawn by its key: the same one in every launch."""
        key = entry.trial.key
        if key not in self._bracket_of:
            self._bracket_of[key] = chosen = _drawn(self._brackets[entry.cell], key)
            chosen.scheduler.on_trial_add(NOBODY, as_trial(Judged(key)))
        return self._bracket_of[key]

    def _told(self, entry: Entry, step: int, value: float) -> dict[str, Any]:
        return {PROGRESS: round(WHOLE * step / entry.trial.config.steps), self._objective: value}

    def _end(self, entry: Entry, verdict: "Verdict") -> None:
        """End a trial as stopped; nothing happens when it has ended otherwise meanwhile."""
        folder = self._ledger.trial(entry.trial.key)
        values = next(point.values for point in folder.points() if point.step == verdict.step)
        outcome = Outcome("stopped", verdict.step, dict(values), reason=verdict.reason)
        Attempt(folder.attempts()[-1]).finish(outcome)


@dataclass(frozen=True)
class Verdict:
    """At which step a trial is stopped, and why."""

    step: int
    reason: str


def _drawn(brackets: Sequence[Bracket], key: str) -> Bracket:
    share = int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big") / 2**64
    left = share * sum(each.weight for each in brackets)
    for each in brackets:
        left -= each.weight
        if left < 0:
            return each
    return brackets[-1]
