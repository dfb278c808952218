"""The stacked state of a pack's trials: a step, a report, an outcome, a saved state of each."""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from trainers.batches import Batch
from trainers.config import TrialConfig
from trainers.engine.ahead import Ahead
from trainers.engine.compiled import is_compiled
from trainers.engine.execution import Execution
from trainers.engine.gradients import Gradients
from trainers.engine.row import Row
from trainers.engine.rungs import pays, rung
from trainers.engine.whole import Going, Whole
from trainers.evaluate import report_metrics
from trainers.final import final_metrics
from trainers.models.stack import Layout
from trainers.optim import Moments, Updater
from trainers.result import Ended, Event, Outcome, Point, Reported, Saved


@dataclass(frozen=True)
class Start:
    """A trial to train: from its beginning, or from a saved state."""

    config: TrialConfig
    saved: Saved | None = None


@dataclass
class Pack:
    """The stacked state of the trials that are still training; a row of each tensor is a trial.

    Where steps are compiled or captured, and on a GPU, whose bits depend on the number of rows, a row
    that nobody takes stays, empty. It shows what another trial shows, and no one reads what it does.
    """

    rows: list[Row]
    layout: Layout
    device: torch.device
    execution: Execution
    flat: Float[Tensor, "trial row"]
    moments: Moments
    loss_sum: Float[Tensor, " trial"]  # float64, since the last report
    ahead: Ahead | None = None
    whole: Whole | None = None  # a step on a device other than a CPU, or that is to be captured
    updater: Updater | None = None  # of steps that are no whole
    gradients: Gradients = field(init=False)
    live: list[int] = field(default_factory=list[int])  # the rows that are not empty
    quiet: int = 0  # steps until one of the trials reports
    spent_s: float = 0.0  # on so many steps with as many rows as now
    spent_steps: int = 0

    def __post_init__(self) -> None:
        self.gradients = Gradients(self.rows[0].config, self.layout, self.execution)
        self._prepare()

    def _prepare(self) -> None:
        """Get ready for the trials that are in the rows now."""
        self.live = [number for number, row in enumerate(self.rows) if row.live]
        optimizers = [row.config.optimizer for row in self.rows]
        if not self.live:
            pass
        elif not self._is_whole:
            planned = [row.config.steps for row in self.rows]
            self.updater = Updater.of(
                self.layout, self.flat, self.moments, optimizers, self.done, planned, self.live
            )
        elif self.whole is None:
            self.whole = Whole.of(
                self.layout,
                self.flat,
                self.moments,
                self.loss_sum,
                optimizers,
                self.gradients,
                captures=self.execution.mode != "eager",
            )
            self._load()
        else:
            self.whole.take(optimizers)
            self._load()
        self.listen()

    @classmethod
    def of(
        cls,
        starts: Sequence[Start],
        device: torch.device,
        execution: Execution = Execution(),  # noqa: B008 - frozen
    ) -> "Pack":
        """Every trial at its beginning, or where its saved state left it."""
        layout = Layout(starts[0].config.parameters())
        rows = [Row.of(start.config, start.saved) for start in starts]
        states = _states(layout, starts)
        if device.type != "cpu" or execution.mode != "eager":
            empty = rung(len(starts), execution.mode) - len(starts)
            rows += [replace(rows[0], live=False) for _ in range(empty)]
            states = [torch.cat([each, each.new_zeros(empty, *each.shape[1:])]) for each in states]
        flat, first, second, loss_sum = (each.to(device) for each in states)
        return cls(rows, layout, device, execution, flat, Moments(first, second), loss_sum)

    @property
    def configs(self) -> list[TrialConfig]:
        """Of the trial of each row that is not empty."""
        return [self.rows[number].config for number in self.live]

    @property
    def done(self) -> list[int]:
        """Steps of the trial of each row, also of those that are empty."""
        return [row.done for row in self.rows]

    @property
    def keeps_rows(self) -> bool:
        """Whether a row stays that nobody takes."""
        return self.device.type != "cpu" or self.execution.mode != "eager"

    def trace_at_once(self) -> None:
        """Trace eager steps where it pays, without waiting until they have been taken often."""
        self.gradients.patience = 0

    @property
    def _is_whole(self) -> bool:
        return self.device.type != "cpu" or self.execution.mode == "graphed"

    def show(self, made: Batch, steps: int, *, repeats: bool) -> None:
        """Take the examples of the next steps of each trial; those of one step may be shown again."""
        self.ahead = Ahead(self._spread(made), steps, repeats)
        self._load()

    def show_joined(self, numbers: Sequence[int], made: Batch) -> None:
        """Take the examples of trials that have joined, for the steps of which the others have theirs."""
        assert self.ahead is not None  # `show` comes first
        self.ahead.replace(numbers, made)

    def _spread(self, made: Batch) -> Batch:
        """Examples for all rows: the empty ones show what the first trial shows."""
        if len(self.live) == len(self.rows):
            return made
        places = {number: place for place, number in enumerate(self.live)}
        return made.of([places.get(number, 0) for number in range(len(self.rows))])

    def _load(self) -> None:
        if self.whole is not None and self.ahead is not None:
            self.whole.load(self.ahead, self._going())

    def _going(self) -> list[Going | None]:
        return [
            Going(row.config.optimizer, row.done, row.config.steps) if row.live else None
            for row in self.rows
        ]

    def advance(self) -> None:
        """One update of every trial on the next examples that it was shown."""
        assert self.ahead is not None  # `show` comes first
        if self.whole is None:
            self.step(self.ahead.next())
            return
        if self.whole.left == 0:
            self.whole.plan(self._going(), 0)
        self.whole.step()
        self.ahead.used += 1
        self._count()

    def step(self, batch: Batch) -> None:
        """One update of every trial on these examples; nothing waits for the device."""
        if self.whole is not None:
            if self.ahead is None or self.ahead.made is not batch:
                self.show(batch, 1, repeats=True)
            self.advance()
            return
        assert self.updater is not None
        self.gradients.prepare(self.flat, batch)
        began = time.perf_counter()
        loss, gradient = self.gradients(self.flat, batch)
        self.updater.step(gradient, self.done)
        self.loss_sum += loss.to(torch.float64)
        self._count()
        self.spent_s += time.perf_counter() - began
        self.spent_steps += 1

    def _count(self) -> None:
        for number in self.live:
            row = self.rows[number]
            row.done += 1
            row.loss_steps += 1
        self.quiet -= 1

    def steps_left(self) -> int:
        """Steps until the last of the trials has used up its budget."""
        return max(self.rows[row].config.steps - self.rows[row].done for row in self.live)

    def listen(self) -> None:
        """See when the next report is due."""
        live = [self.rows[number] for number in self.live]
        self.quiet = min((row.until_report(row.done) for row in live), default=0)

    def due(self) -> list[int]:
        """The trials that have just reached a step at which they report."""
        return [number for number in self.live if self.rows[number].reports]

    def report(self, rows: list[int]) -> Iterator[Event]:
        """A point of each of these trials; a trial whose loss is not finite has broken."""
        sums = self.loss_sum.tolist()
        tests: dict[int, dict[str, float]] = {}
        for number in {self.rows[row].tested_on for row in rows}:
            some = [row for row in rows if self.rows[row].tested_on == number]
            found = self._measured(some, report_metrics, number)
            tests |= dict(zip(some, found, strict=True))
        for number in rows:
            row, test = self.rows[number], tests[number]
            loss = sums[number] / row.loss_steps
            if not (math.isfinite(loss) and math.isfinite(test["test_loss"])):
                row.broke = row.done
            yield Reported(row.key, Point(row.done, {"loss": loss, **test}))
            self.loss_sum[number] = 0.0
            row.loss_steps = 0

    def _measured(self, some: list[int], measure: Callable[..., Any], *more: int) -> list[Any]:
        """What these rows come to in a test.

        On a GPU bits depend on the number of rows, so that all of them are always tested.
        """
        rows = some if self.device.type == "cpu" else list(range(len(self.rows)))
        with torch.no_grad():
            weights = self.layout.views(self.flat[rows])
            found = measure(weights, [self.rows[row].config for row in rows], self.device, *more)
        return [found[rows.index(row)] for row in some]

    def end(self, rows: list[int]) -> Iterator[Event]:
        """The outcome of each of these trials."""
        whole = [row for row in rows if self.rows[row].broke < 0]
        found = {}
        if whole:
            found = dict(zip(whole, self._measured(whole, final_metrics), strict=True))
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
        self.rows[number] = Row.of(start.config, start.saved)

    def settle(self, free: Sequence[int]) -> None:
        """Go on without the trials of these rows, which nobody has taken."""
        for number in free:
            self.rows[number].live = False
        live = [number for number, row in enumerate(self.rows) if row.live]
        rows = live
        if self.keeps_rows:
            for number in free:  # what a diverged trial leaves is not to be multiplied any more
                for tensor in (self.flat, self.moments.first, self.moments.second, self.loss_sum):
                    tensor[number] = 0.0
            empty = [number for number, row in enumerate(self.rows) if not row.live]
            rows = sorted(live + empty[: self._fewer(len(live)) - len(live)])
        if live and len(rows) < len(self.rows):
            self._keep(rows)
        self._prepare()

    def _keep(self, rows: list[int]) -> None:
        self.rows = [self.rows[number] for number in rows]
        self.flat = self.flat[rows]
        self.moments = Moments(self.moments.first[rows], self.moments.second[rows])
        self.loss_sum = self.loss_sum[rows]
        if self.ahead is not None:
            self.ahead.keep(rows)
        self.gradients.program = None
        self.spent_s, self.spent_steps = 0.0, 0

    def _fewer(self, live: int) -> int:
        """Rows to go on with, for so many trials.

        Compiled steps on a CPU have the same bits with any number of rows: there fewer are taken that
        have their program already, or that pay for theirs. Elsewhere all of them stay to the end.
        """
        now = len(self.rows)
        program = self.gradients.program
        if program is None or self.whole is not None or live == 0:
            return now
        fewer = rung(live, self.execution.mode)
        config = self.rows[0].config
        if fewer == now or is_compiled(config, fewer, self.execution, self.device):
            return fewer
        left = max(row.config.steps - row.done for row in self.rows if row.live)
        step_s = self.spent_s / max(1, self.spent_steps)
        pay = pays(now, fewer, steps_left=left, step_s=step_s, preparation_s=program.seconds)
        return fewer if pay else now


def _states(layout: Layout, starts: Sequence[Start]) -> list[Tensor]:
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
    return [flat, first, second, loss_sum]
