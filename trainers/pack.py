"""The stacked state of a pack's trials: a step, a report, an outcome, a saved state of each."""

import math
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor

from trainers.ahead import Ahead
from trainers.batches import Batch
from trainers.config import TrialConfig
from trainers.evaluate import report_metrics
from trainers.final import final_metrics
from trainers.models.stack import Layout
from trainers.optim import Moments, Updater
from trainers.result import Ended, Event, Outcome, Point, Reported, Saved
from trainers.step import gradient_of


@dataclass(frozen=True)
class Start:
    """A trial to train: from its beginning, or from a saved state."""

    config: TrialConfig
    saved: Saved | None = None


@dataclass
class Row:
    """A trial in its row of the pack, and how far it is."""

    config: TrialConfig
    key: str
    report_steps: tuple[int, ...]
    done: int  # steps
    loss_steps: int  # since the last report
    broke: int = -1  # the report at which a loss was not finite; -1: none

    @classmethod
    def of(cls, start: Start) -> "Row":
        """The trial at its beginning, or where its saved state left it."""
        config, saved = start.config, start.saved
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


@dataclass
class Pack:
    """The stacked state of the trials that are still training; a row of each tensor is a trial."""

    rows: list[Row]
    layout: Layout
    device: torch.device
    flat: Float[Tensor, "trial row"]
    moments: Moments
    loss_sum: Float[Tensor, " trial"]  # float64, since the last report
    ahead: Ahead | None = None
    updater: Updater = field(init=False)
    quiet: int = field(init=False)  # steps until one of the trials reports

    def __post_init__(self) -> None:
        self._prepare()

    def _prepare(self) -> None:
        self.updater = Updater.of(
            self.layout,
            self.flat,
            self.moments,
            [config.optimizer for config in self.configs],
            self.done,
            [config.steps for config in self.configs],
        )
        self.listen()

    @classmethod
    def of(cls, starts: Sequence[Start], device: torch.device) -> "Pack":
        """Every trial at its beginning, or where its saved state left it."""
        layout = Layout(starts[0].config.parameters())
        flat, first, second, loss_sum = _states(layout, starts)
        return cls(
            rows=[Row.of(start) for start in starts],
            layout=layout,
            device=device,
            flat=flat.to(device),
            moments=Moments(first.to(device), second.to(device)),
            loss_sum=loss_sum.to(device),
        )

    @property
    def configs(self) -> list[TrialConfig]:
        """Of the trial of each row."""
        return [row.config for row in self.rows]

    @property
    def done(self) -> list[int]:
        """Steps of the trial of each row."""
        return [row.done for row in self.rows]

    def show(self, made: Batch, steps: int, *, repeats: bool) -> None:
        """Take the examples of the next steps; those of one step may be shown again and again."""
        self.ahead = Ahead(made, steps, repeats)

    def advance(self) -> None:
        """One update of every trial on the next examples that it was shown."""
        assert self.ahead is not None  # `show` comes first
        self.step(self.ahead.next())

    def step(self, batch: Batch) -> None:
        """One update of every trial; nothing waits for the device."""
        loss, gradient = gradient_of(self.rows[0].config, self.layout, self.flat, batch)
        self.updater.step(gradient, self.done)
        self.loss_sum += loss.to(torch.float64)
        for row in self.rows:
            row.done += 1
            row.loss_steps += 1
        self.quiet -= 1

    def steps_left(self) -> int:
        """Steps until the last of the trials has used up its budget."""
        return max(row.config.steps - row.done for row in self.rows)

    def listen(self) -> None:
        """See when the next report is due."""
        self.quiet = min((row.until_report(row.done) for row in self.rows), default=0)

    def due(self) -> list[int]:
        """The trials that have just reached a step at which they report."""
        return [number for number, row in enumerate(self.rows) if row.reports]

    def report(self, rows: list[int]) -> Iterator[Event]:
        """A point of each of these trials; a trial whose loss is not finite has broken."""
        sums = self.loss_sum.tolist()
        tests: dict[int, dict[str, float]] = {}
        for number in {self.rows[row].tested_on for row in rows}:
            some = [row for row in rows if self.rows[row].tested_on == number]
            configs = [self.rows[row].config for row in some]
            with torch.no_grad():
                weights = self.layout.views(self.flat[some])
                found = report_metrics(weights, configs, self.device, number)
            tests |= dict(zip(some, found, strict=True))
        for number in rows:
            row, test = self.rows[number], tests[number]
            loss = sums[number] / row.loss_steps
            if not (math.isfinite(loss) and math.isfinite(test["test_loss"])):
                row.broke = row.done
            yield Reported(row.key, Point(row.done, {"loss": loss, **test}))
            self.loss_sum[number] = 0.0
            row.loss_steps = 0

    def end(self, rows: list[int]) -> Iterator[Event]:
        """The outcome of each of these trials."""
        whole = [row for row in rows if self.rows[row].broke < 0]
        found = {}
        if whole:
            with torch.no_grad():
                weights = self.layout.views(self.flat[whole])
                configs = [self.rows[row].config for row in whole]
                metrics = final_metrics(weights, configs, self.device)
            found = dict(zip(whole, metrics, strict=True))
        for number in rows:
            row = self.rows[number]
            if number in found:
                metrics, details = found[number]
                outcome = Outcome("finished", row.done, metrics=metrics, details=details)
            else:
                reason = f"the loss was not finite between the last report and step {row.done:,}"
                outcome = Outcome("diverged", row.done, reason=reason)
            yield Ended(row.key, outcome)

    def saved(self, rows: Sequence[int]) -> Iterator[Event]:
        """The full state of these trials, on the CPU."""
        for number in rows:
            row = self.rows[number]
            tensors = {
                "weights": self.flat[number].detach().cpu().clone(),
                "first": self.moments.first[number].cpu().clone(),
                "second": self.moments.second[number].cpu().clone(),
            }
            numbers = {
                "loss_sum": float(self.loss_sum[number]),
                "loss_steps": float(row.loss_steps),
            }
            yield Saved(row.key, row.done, tensors, numbers)

    def take(self, number: int, start: Start) -> None:
        """Another trial takes a row whose own has ended; `settle` comes before the next step."""
        flat, first, second, loss_sum = _states(self.layout, [start])
        self.flat[number] = flat[0].to(self.device)
        self.moments.first[number] = first[0].to(self.device)
        self.moments.second[number] = second[0].to(self.device)
        self.loss_sum[number] = loss_sum[0].to(self.device)
        self.rows[number] = Row.of(start)

    def settle(self, free: Sequence[int]) -> None:
        """Go on without the trials of these rows, which nobody has taken."""
        rows = [number for number in range(len(self.rows)) if number not in free]
        self.rows = [self.rows[number] for number in rows]
        if free:
            self.flat = self.flat[rows]
            self.moments = Moments(self.moments.first[rows], self.moments.second[rows])
            self.loss_sum = self.loss_sum[rows]
            if self.ahead is not None:
                self.ahead.keep(rows)
        self._prepare()


def _states(layout: Layout, starts: Sequence[Start]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Weights, both moments and the sum of losses of each trial, on the CPU."""
    flat = layout.start([start.config.seed for start in starts])
    first, second = torch.zeros_like(flat), torch.zeros_like(flat)
    loss_sum = torch.zeros(len(starts), dtype=torch.float64)
    for row, start in enumerate(starts):
        if start.saved is not None:
            flat[row] = start.saved.tensors["weights"]
            first[row] = start.saved.tensors["first"]
            second[row] = start.saved.tensors["second"]
            loss_sum[row] = start.saved.numbers["loss_sum"]
    return flat, first, second, loss_sum
