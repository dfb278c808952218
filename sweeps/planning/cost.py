"""What a sweep costs before it starts: seconds of every trial, packs, and when all of it will be done."""

import heapq
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from sweeps.planning.pace.choice import LIKELY_PREPARATION_S, Choice
from sweeps.planning.pace.learned import Done, learn
from sweeps.planning.pace.packing import queues
from sweeps.planning.pace.rates import Rates, device_kind, rates_of
from sweeps.planning.pace.shapes import Left, Site, shapes
from sweeps.planning.pace.work import steps_worth
from sweeps.planning.plan import Plan, PlannedTrial
from sweeps.planning.standing import OPEN, Standing, State, begun_in, shared_with, standing
from sweeps.spec import SpecError
from sweeps.storage.ledger import Ledger, Look
from sweeps.workers import Workers
from trainers.engine.execution import Execution

_TRIES_WORTH = 3.0  # times what it takes to try a way that has to be prepared is what it may save
_TRIES_SHARE = 0.1  # of the whole sweep, at the most


@dataclass(frozen=True)
class PricedTrial:
    """A planned trial, where it stands, and what is left of it to do."""

    trial: PlannedTrial
    state: State
    steps_done: int
    seconds: float  # of what is left, on one worker

    @property
    def is_open(self) -> bool:
        """Whether there is anything left to train."""
        return self.state in OPEN

    @property
    def is_begun(self) -> bool:
        """Whether a step of it is done, which the next attempt goes on from."""
        return self.is_open and self.steps_done > 0

    @property
    def flops_left(self) -> float:
        """FLOPs of what is left."""
        if not self.is_open:
            return 0.0
        return self.trial.flops * (1 - self.steps_done / self.trial.variant.steps)


@dataclass(frozen=True)
class Pack:
    """Trials of equal shape for one worker: `width` at once, the others as rows become free."""

    trials: tuple[PricedTrial, ...]  # in the order in which they begin
    width: int = 1
    execution: Execution = Execution()  # noqa: RUF009 - frozen
    preparation_s: float = 0.0

    @property
    def seconds(self) -> float:
        """Of the whole pack, on one worker."""
        return self.preparation_s + sum(trial.seconds for trial in self.trials)


@dataclass(frozen=True)
class PricedShape:
    """What is left to train of a shape, and how its trials train, and why."""

    trials: tuple[PricedTrial, ...]
    choice: Choice
    learned: bool  # their pace is that of finished ones, not a measurement


@dataclass(frozen=True)
class Price:
    """A plan with what it costs on this machine."""

    plan: Plan
    trials: tuple[PricedTrial, ...]
    packs: tuple[Pack, ...]  # those with trials that are begun, then the others; longest first
    workers: int
    device: str = ""  # the kind
    shapes: tuple[PricedShape, ...] = ()
    shared: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    storage: Path = Path()
    rates: Rates | None = None

    @cached_property
    def seconds(self) -> float:
        """Until the last pack is done, with every worker busy."""
        free = [0.0] * self.workers
        for pack in self.packs:
            heapq.heapreplace(free, free[0] + pack.seconds)
        return max(free)

    @cached_property
    def device_hours(self) -> float:
        """Of all workers together: hours of GPUs, or of processors on a machine without one."""
        return sum(pack.seconds for pack in self.packs) / 3600

    @property
    def learned(self) -> int:
        """Open trials whose pace is that of finished ones, not a measurement."""
        return sum(len(shape.trials) for shape in self.shapes if shape.learned)

    @cached_property
    def open(self) -> tuple[PricedTrial, ...]:
        """The trials that are left to train."""
        return tuple(trial for trial in self.trials if trial.is_open)

    @cached_property
    def exceeded(self) -> tuple[str, ...]:
        """For each limit of the sweep file that what is left is beyond, which one and by how much."""
        return self.plan.sweep.budget.exceeded(
            gpu_hours=self.device_hours,
            flops=sum(each.flops_left for each in self.open),
            trials=len(self.open),
        )

    @cached_property
    def untried(self) -> tuple[PricedShape, ...]:
        """Shapes of which a launch had better measure compiled steps before it starts.

        What they may save is several times what measuring takes, and all of that a tenth of the sweep.
        """
        found: list[PricedShape] = []
        for shape in sorted(self.shapes, key=lambda shape: -shape.choice.saves_s):
            choice, spent_s = shape.choice, LIKELY_PREPARATION_S * (len(found) + 1)
            if choice.untried is None or choice.saves_s < _TRIES_WORTH * LIKELY_PREPARATION_S:
                continue
            if spent_s <= _TRIES_SHARE * self.seconds:
                found.append(shape)
        return tuple(found)


def price(
    plan: Plan,
    ledger: Ledger,
    *,
    device: str,
    workers: int,
    wanted: Workers | None = None,
    rates: Rates | None = None,
) -> Price:
    """Say where every trial stands, group what is left into packs, and estimate its seconds.

    What is `wanted` of the workers takes the place of what the sweep file says, and `rates` of what the
    storage knows. What this tells of the device is kept in the storage, where there is one; but not by a
    sweep that is beyond its limits, since a launch that is refused writes nothing.

    Raises:
        InputError: what is wanted is not there on such a device.
    """
    site = Site(device, workers, plan.sweep.workers if wanted is None else wanted)
    site.check()
    looks = ledger.look(trial.key for trial in plan.trials)
    standings = [standing(looks.get(trial.key)) for trial in plan.trials]
    rates = rates or rates_of(ledger.root, device)
    learn(rates, ledger, _done(zip(plan.trials, standings, strict=True)), looks)
    left = [
        Left(trial, _steps_left(trial, stands), _begun(ledger, trial, looks))
        for trial, stands in zip(plan.trials, standings, strict=True)
        if stands.state in OPEN
    ]
    found = shapes(rates, left, site)
    seconds = {
        each.trial.key: shape.choice.seconds * each.steps
        for shape in found
        for each in shape.trials
    }
    trials = {
        trial.key: PricedTrial(trial, stands.state, stands.steps_done, seconds.get(trial.key, 0.0))
        for trial, stands in zip(plan.trials, standings, strict=True)
    }
    priced_shapes = tuple(
        PricedShape(
            tuple(trials[each.trial.key] for each in shape.trials), shape.choice, shape.learned
        )
        for shape in found
    )
    priced = Price(
        plan,
        tuple(trials.values()),
        _packs(priced_shapes, workers),
        workers,
        device_kind(device),
        priced_shapes,
        shared_with(ledger, plan.sweep.name, (trial.key for trial in plan.trials)),
        ledger.root,
        rates,
    )
    if not priced.exceeded:
        rates.save()
    return priced


def try_out(priced: Price) -> None:
    """Measure the compiled steps that may be worth it; the next price rests on them.

    Half a minute for each of `priced.untried`.
    """
    rates = priced.rates
    if rates is None:
        return
    for shape in priced.untried:
        trial = shape.trials[0].trial
        if shape.choice.untried is not None:
            rates.tried(trial.variant.stacks_with, trial.config, shape.choice.untried)


def refuse_beyond_limits(priced: Price) -> None:
    """Refuse to train more than the sweep file allows.

    Raises:
        SpecError: what is left to train is beyond a limit.
    """
    if priced.exceeded:
        raise SpecError("; ".join(priced.exceeded), place=("budget",))


def learn_from(priced: Price, ledger: Ledger, *, device: str) -> None:
    """Keep in the storage what a launch has told of the device, for the next sweep of such shapes."""
    looks: dict[str, Look] = ledger.look(each.trial.key for each in priced.open)
    trained = [(each.trial, standing(looks.get(each.trial.key))) for each in priced.open]
    rates = priced.rates or rates_of(ledger.root, device)
    learn(rates, ledger, _done(trained), looks)
    rates.save()


def _done(trials: Iterable[tuple[PlannedTrial, Standing]]) -> Iterable[Done]:
    for trial, stands in trials:
        if stands.state not in OPEN:
            variant = trial.variant
            share = stands.steps_done / variant.steps
            yield Done(trial.key, variant.stacks_with, share * steps_worth(variant))


def _steps_left(trial: PlannedTrial, stands: Standing) -> float:
    return steps_worth(trial.variant) * (1 - stands.steps_done / trial.variant.steps)


def _begun(ledger: Ledger, trial: PlannedTrial, looks: Mapping[str, Look]) -> Execution | None:
    return begun_in(ledger.trial(trial.key)) if trial.key in looks else None


def _packs(shapes: Iterable[PricedShape], workers: int) -> tuple[Pack, ...]:
    every = tuple(shapes)
    sweep_s = sum(trial.seconds for shape in every for trial in shape.trials)
    packs: list[Pack] = []
    for shape in every:
        choice = shape.choice
        found = queues(
            shape.trials,
            choice.way.width,
            preparation_s=choice.preparation_s,
            sweep_s=sweep_s,
            workers=workers,
        )
        for number, queue in enumerate(found):
            prepared_s = choice.preparation_s if number < workers else 0.0  # once in each worker
            width = min(choice.way.width, len(queue))
            packs.append(Pack(queue, width, choice.execution, prepared_s))
    return tuple(sorted(packs, key=lambda pack: (not pack.trials[0].is_begun, -pack.seconds)))
