"""What a sweep costs before it starts: seconds of every trial, packs, and when all of it will be done."""

import heapq
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from sweeps.planning.learned import Done, learn
from sweeps.planning.plan import Plan, PlannedTrial
from sweeps.planning.rates import Ladder, Rate, Rates, best_rate, between, device_kind, rates_of
from sweeps.planning.standing import OPEN, Standing, State, shared_with, standing
from sweeps.spec import SpecError
from sweeps.storage.ledger import Ledger, Look
from trainers.config import TrialConfig
from trainers.data.task import ClassedTask, JudgedTask
from trainers.variants import Variant

_FORWARD_SHARE = 1 / 3  # of the FLOPs of training on an example


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
    def flops_left(self) -> float:
        """FLOPs of what is left."""
        if not self.is_open:
            return 0.0
        return self.trial.flops * (1 - self.steps_done / self.trial.variant.steps)


@dataclass(frozen=True)
class Pack:
    """Trials that train together."""

    trials: tuple[PricedTrial, ...]

    @property
    def seconds(self) -> float:
        """Of the whole pack, on one worker."""
        return sum(trial.seconds for trial in self.trials)


@dataclass(frozen=True)
class Price:
    """A plan with what it costs on this machine."""

    plan: Plan
    trials: tuple[PricedTrial, ...]
    packs: tuple[Pack, ...]  # longest first
    workers: int
    device: str = ""  # the kind
    learned: int = 0  # open trials whose pace is that of finished ones, not a measurement
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
        return sum(each.seconds for each in self.open) / 3600

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


def price(plan: Plan, ledger: Ledger, *, device: str, workers: int) -> Price:
    """Say where every trial stands, group what is left into packs, and estimate its seconds.

    What this tells of the device is kept in the storage, where there is one; but not by a sweep that
    is beyond its limits, since a launch that is refused writes nothing.
    """
    looks = ledger.look(trial.key for trial in plan.trials)
    standings = [standing(looks.get(trial.key)) for trial in plan.trials]
    rates = rates_of(ledger.root, device)
    learn(rates, ledger, _done(zip(plan.trials, standings, strict=True)), looks)
    left = [t for t, stands in zip(plan.trials, standings, strict=True) if stands.state in OPEN]
    by_shape = _rates(rates, left)
    trials = tuple(
        PricedTrial(trial, stands.state, stands.steps_done, _seconds(trial, stands, by_shape))
        for trial, stands in zip(plan.trials, standings, strict=True)
    )
    priced = Price(
        plan,
        trials,
        _packs(trials, by_shape, workers),
        workers,
        device_kind(device),
        sum(by_shape[trial.variant.stacks_with].learned for trial in left),
        shared_with(ledger, plan.sweep.name, (trial.key for trial in plan.trials)),
        ledger.root,
        rates,
    )
    if not priced.exceeded:
        rates.save()
    return priced


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
    rates = rates_of(ledger.root, device)
    learn(rates, ledger, _done(trained), looks)
    rates.save()


def _done(trials: Iterable[tuple[PlannedTrial, Standing]]) -> Iterable[Done]:
    for trial, stands in trials:
        if stands.state not in OPEN:
            variant = trial.variant
            share = stands.steps_done / variant.steps
            yield Done(trial.key, variant.stacks_with, share * _steps_worth(variant))


def _seconds(trial: PlannedTrial, stands: Standing, rates: Mapping[str, Rate]) -> float:
    if stands.state not in OPEN:
        return 0.0
    variant = trial.variant
    share_left = 1 - stands.steps_done / variant.steps
    return rates[variant.stacks_with].seconds * _steps_worth(variant) * share_left


def _steps_worth(variant: Variant) -> float:
    """Steps of training that take as long as the whole trial, its tests included."""
    tested = variant.of_shape(_tested_steps)
    return variant.steps + tested


def _tested_steps(config: TrialConfig) -> float:
    """All reports and the outcome, in steps; an answer that is generated counts twice."""
    evaluation = config.evaluation
    sets = (config.task, *config.test_tasks().values())
    passes = len(sets) + evaluation.by_place
    last = evaluation.last_examples or evaluation.examples
    judged = sum(isinstance(task, JudgedTask) for task in sets) * evaluation.judged_examples
    each_report = evaluation.training_examples + 2 * judged
    tested = passes * ((evaluation.points - 1) * evaluation.examples + last)
    tested += evaluation.points * each_report
    tested += len(evaluation.prune) * (last + evaluation.training_examples)
    if isinstance(config.task, ClassedTask):
        tested += 2 * len(config.task.classes()) * evaluation.class_examples
    return tested * _FORWARD_SHARE / config.batch_size


def _packs(
    trials: Iterable[PricedTrial], rates: Mapping[str, Rate], workers: int
) -> tuple[Pack, ...]:
    groups: defaultdict[str, list[PricedTrial]] = defaultdict(list)
    for trial in trials:
        if trial.is_open:
            groups[trial.trial.variant.stacks_with].append(trial)
    left = sum(len(group) for group in groups.values())
    fair = max(1, left // (2 * workers))  # a pack so large that workers would idle helps nobody
    packs: list[Pack] = []
    for shape, group in groups.items():
        size = min(rates[shape].pack, fair)
        # alike in length, so that few rows of a pack are left alone
        ordered = sorted(group, key=lambda trial: -trial.seconds)
        packs += [
            Pack(tuple(ordered[first : first + size])) for first in range(0, len(ordered), size)
        ]
    return tuple(sorted(packs, key=lambda pack: -pack.seconds))


def _rates(known: Rates, trials: Iterable[PlannedTrial]) -> dict[str, Rate]:
    """The rate of every shape: learned, or measured for a few and interpolated between them."""
    shapes: dict[str, PlannedTrial] = {}
    counts: defaultdict[str, int] = defaultdict(int)
    for trial in trials:
        shape = trial.variant.stacks_with
        shapes.setdefault(shape, trial)
        counts[shape] += 1
    families: defaultdict[str, list[str]] = defaultdict(list)
    for shape, trial in shapes.items():
        families[trial.config.model.kind].append(shape)
    step_flops = {shape: trial.flops // trial.variant.steps for shape, trial in shapes.items()}
    slower = known.slower()
    rates: dict[str, Rate] = {}
    for family in families.values():
        family.sort(key=step_flops.__getitem__)
        anchors: list[tuple[int, Ladder]] = []
        for number in sorted({0, len(family) // 2, len(family) - 1}):
            shape = family[number]
            ladder = known.ladder(shape, shapes[shape].config, counts[shape])
            anchors.append((step_flops[shape], ladder))
        for shape in family:
            expected = between(anchors, step_flops[shape])
            rates[shape] = best_rate(expected, known.learned(shape), slower, counts[shape])
    return rates
