"""What training out of the ledger needs, whichever trials: where they lie, when to leave, who looks on."""

from collections.abc import Callable
from dataclasses import dataclass

from sweeps.planning.standing import begun_in
from sweeps.running.breaker import Breaker
from sweeps.running.halted import writing
from sweeps.running.history import History, history
from sweeps.running.watchdog import Watchdog
from sweeps.storage.attempt import Attempt
from sweeps.storage.ledger import Ledger, TrialFolder
from sweeps.storage.left import Cause
from trainers.config import TrialConfig
from trainers.engine.execution import Execution
from trainers.memory import smaller_execution, training_bytes
from trainers.result import Ended, Outcome

LINE_BYTES = 4096
"""Of a report, at most, and of any small file."""


@dataclass(frozen=True)
class Opened:
    """A trial that may be trained now, how, and what its earlier attempts say."""

    config: TrialConfig
    folder: TrialFolder
    history: History
    execution: Execution


@dataclass(frozen=True)
class Desk:
    """From where trials are trained, by whom, and for how long."""

    ledger: Ledger
    device: str
    save_every_s: float
    should_stop: Callable[[], bool]
    leaves_as: Callable[[], Cause]
    allow_drift: bool
    watchdog: Watchdog | None
    breaker: Breaker | None

    def opened(self, config: TrialConfig, execution: Execution) -> Opened | Ended | None:
        """The trial if it may be trained; how it ends where that is without training; None if it has.

        It goes on as it began, and not with this execution, unless drift is allowed.
        """
        folder = self.ledger.trial(config.key())
        if folder.outcome() is not None:
            return None
        if self.breaker is not None and self.breaker.refuses(config):
            return None
        found = history(folder)
        reason = found.verdict()
        if reason is None:
            begun = None if self.allow_drift else begun_in(folder)
            same = begun is not None and begun.words == execution.words
            if begun is None or same or begun.ranks != execution.ranks:  # no choice of this worker
                begun = execution
            fitting = self._fitting(config, begun, found.memory_alone, written=found.step > 0)
            if fitting is not None:
                return Opened(config, folder, found, fitting)
            reason = "out of memory"
        if found.out_of_memory or found.crashes:
            needed = training_bytes([config], self.device)
            reason += f", it needs about {needed / 1e9:.1f} GB beside torch itself"
        return self.fail(Attempt(folder.attempts()[-1]), config, found.step, reason)

    def _fitting(
        self, config: TrialConfig, execution: Execution, times: int, *, written: bool
    ) -> Execution | None:
        """The execution for a trial that memory was too small for, alone, so many times."""
        for _ in range(times):
            found = smaller_execution(config, self.device, execution, same_words=written)
            if found is None:
                return None
            execution = found
        return execution

    def fail(self, attempt: Attempt, config: TrialConfig, step: int, reason: str) -> Ended | None:
        """End a trial as failed; None when it has ended otherwise, or a newer attempt has begun."""
        outcome = Outcome("failed", step, reason=reason)
        with writing(attempt.path, LINE_BYTES):
            if not attempt.finish(outcome):
                return None
        if self.breaker is not None:
            self.breaker.failed(config, reason)
        return Ended(config.key(), outcome)
