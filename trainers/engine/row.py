"""A trial in its row of a pack, and how far it is."""

from bisect import bisect_right
from dataclasses import dataclass

from trainers.config import TrialConfig
from trainers.result import Saved


@dataclass
class Row:
    """A trial in its row of the pack, and how far it is."""

    config: TrialConfig
    key: str
    report_steps: tuple[int, ...]
    done: int  # steps
    loss_steps: int  # since the last report
    broke: int = -1  # the report at which a loss was not finite; -1: none
    live: bool = True  # False: the trial has ended, nobody has taken its row, and it stays empty

    @classmethod
    def of(cls, config: TrialConfig, saved: Saved | None) -> "Row":
        """The trial at its beginning, or where its saved state left it."""
        done = 0 if saved is None else saved.step
        loss_steps = 0 if saved is None else int(saved.numbers["loss_steps"])
        return cls(config, config.key(), config.report_steps, done, loss_steps)

    @property
    def reports(self) -> bool:
        """Whether it has just reached a step at which it reports."""
        return self.until_report(self.done - 1) == 1

    @property
    def ended(self) -> bool:
        """Whether it has used up its budget."""
        return self.done == self.config.steps

    @property
    def tested_on(self) -> int:
        """Test examples for its report now."""
        evaluation = self.config.evaluation
        if self.ended and evaluation.last_examples is not None:
            return evaluation.last_examples
        return evaluation.examples

    def until_report(self, done: int) -> int:
        """Steps until it reports, once so many are done."""
        place = bisect_right(self.report_steps, done)
        return self.report_steps[place] - done if place < len(self.report_steps) else 0
