"""The stacked state of a pack's trials: a step, a report, an outcome, a saved state of each."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor

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
class Pack:
    """The stacked state of the trials that are still training; a row of each tensor is a trial."""

    configs: list[TrialConfig]
    keys: list[str]
    layout: Layout
    device: torch.device
    flat: Float[Tensor, "trial row"]
    moments: Moments
    report_steps: list[frozenset[int]]
    done: list[int]  # steps of each trial
    loss_sum: Float[Tensor, " trial"]  # float64, since the last report
    loss_steps: list[int]
    broke: list[int]  # the report at which a loss was not finite; -1: none
    updater: Updater = field(init=False)

    def __post_init__(self) -> None:
        self._prepare()

    def _prepare(self) -> None:
        optimizers = [config.optimizer for config in self.configs]
        planned = [config.steps for config in self.configs]
        self.updater = Updater.of(
            self.layout, self.flat, self.moments, optimizers, self.done, planned
        )

    @classmethod
    def of(cls, starts: Sequence[Start], device: torch.device) -> "Pack":
        """Every trial at its beginning, or where its saved state left it."""
        configs = [start.config for start in starts]
        layout = Layout(configs[0].parameters())
        flat = layout.start([config.seed for config in configs])
        first, second = torch.zeros_like(flat), torch.zeros_like(flat)
        loss_sum = torch.zeros(len(starts), dtype=torch.float64)
        done, loss_steps = [0] * len(starts), [0] * len(starts)
        for row, start in enumerate(starts):
            if start.saved is None:
                continue
            flat[row] = start.saved.tensors["weights"]
            first[row] = start.saved.tensors["first"]
            second[row] = start.saved.tensors["second"]
            loss_sum[row] = start.saved.numbers["loss_sum"]
            loss_steps[row] = int(start.saved.numbers["loss_steps"])
            done[row] = start.saved.step
        return cls(
            configs=configs,
            keys=[config.key() for config in configs],
            layout=layout,
            device=device,
            flat=flat.to(device),
            moments=Moments(first.to(device), second.to(device)),
            report_steps=[frozenset(config.report_steps) for config in configs],
            done=done,
            loss_sum=loss_sum.to(device),
            loss_steps=loss_steps,
            broke=[-1] * len(starts),
        )

    def step(self, batch: Batch) -> None:
        """One update of every trial; nothing waits for the device."""
        loss, gradient = gradient_of(self.configs[0], self.layout, self.flat, batch)
        self.updater.step(gradient, self.done)
        self.loss_sum += loss.to(torch.float64)
        self.done = [done + 1 for done in self.done]
        self.loss_steps = [steps + 1 for steps in self.loss_steps]

    def steps_left(self) -> int:
        """Steps until the last of the trials has used up its budget."""
        return max(one.steps - done for one, done in zip(self.configs, self.done, strict=True))

    def reports(self, row: int) -> bool:
        """Whether this trial has just reached a step at which it reports."""
        return self.done[row] in self.report_steps[row]

    def ended(self, row: int) -> bool:
        """Whether this trial has used up its budget."""
        return self.done[row] == self.configs[row].steps

    def tested_on(self, row: int) -> int:
        """Test examples for this trial's report now."""
        evaluation = self.configs[row].evaluation
        if self.ended(row) and evaluation.last_examples is not None:
            return evaluation.last_examples
        return evaluation.examples

    def report(self, rows: list[int]) -> Iterator[Event]:
        """A point of each of these trials; a trial whose loss is not finite has broken."""
        sums = self.loss_sum.tolist()
        tests: dict[int, dict[str, float]] = {}
        for number in {self.tested_on(row) for row in rows}:
            some = [row for row in rows if self.tested_on(row) == number]
            configs = [self.configs[row] for row in some]
            with torch.no_grad():
                weights = self.layout.views(self.flat[some])
                found = report_metrics(weights, configs, self.device, number)
            tests |= dict(zip(some, found, strict=True))
        for row in rows:
            test = tests[row]
            loss = sums[row] / self.loss_steps[row]
            if not (math.isfinite(loss) and math.isfinite(test["test_loss"])):
                self.broke[row] = self.done[row]
            yield Reported(self.keys[row], Point(self.done[row], {"loss": loss, **test}))
            self.loss_sum[row] = 0.0
            self.loss_steps[row] = 0

    def end(self, rows: list[int]) -> Iterator[Event]:
        """The outcome of each of these trials."""
        whole = [row for row in rows if self.broke[row] < 0]
        found = {}
        if whole:
            with torch.no_grad():
                weights = self.layout.views(self.flat[whole])
                configs = [self.configs[row] for row in whole]
                metrics = final_metrics(weights, configs, self.device)
            found = dict(zip(whole, metrics, strict=True))
        for row in rows:
            step = self.done[row]
            if row in found:
                metrics, details = found[row]
                outcome = Outcome("finished", step, metrics=metrics, details=details)
            else:
                reason = f"the loss was not finite between the last report and step {step:,}"
                outcome = Outcome("diverged", step, reason=reason)
            yield Ended(self.keys[row], outcome)

    def saved(self, rows: Sequence[int]) -> Iterator[Event]:
        """The full state of these trials, on the CPU."""
        for row in rows:
            tensors = {
                "weights": self.flat[row].detach().cpu().clone(),
                "first": self.moments.first[row].cpu().clone(),
                "second": self.moments.second[row].cpu().clone(),
            }
            numbers = {
                "loss_sum": float(self.loss_sum[row]),
                "loss_steps": float(self.loss_steps[row]),
            }
            yield Saved(self.keys[row], self.done[row], tensors, numbers)

    def keep(self, rows: list[int]) -> None:
        """Go on with these trials alone; the others have left the pack."""
        self.configs = [self.configs[row] for row in rows]
        self.keys = [self.keys[row] for row in rows]
        self.flat = self.flat[rows]
        self.moments = Moments(self.moments.first[rows], self.moments.second[rows])
        self.report_steps = [self.report_steps[row] for row in rows]
        self.done = [self.done[row] for row in rows]
        self.loss_sum = self.loss_sum[rows]
        self.loss_steps = [self.loss_steps[row] for row in rows]
        self.broke = [self.broke[row] for row in rows]
        self._prepare()
