"""The shapes of what is left to train, and the way in which the trials of each do so."""

import math
import os
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import torch

from sweeps.planning.pace.choice import Case, Choice, choose
from sweeps.planning.pace.rates import Known, Rates, between, expected
from sweeps.planning.pace.way import Ladder
from sweeps.planning.pace.work import numbers_of_step
from sweeps.planning.plan import PlannedTrial
from sweeps.workers import Workers
from trainers.config import TrialConfig
from trainers.engine.compiled import compiled_works
from trainers.engine.execution import Execution, Mode, execution_of
from trainers.memory import fitting_execution, training_bytes
from trainers.schema import InputError

_ANCHORS = 3  # shapes of a kind of model that are measured; others lie between them
_BYTES_OF_NUMBER = 20  # at the most: `training_bytes` counts exactly, and takes a second
_USED = 0.9  # of the memory of a device: the rest is lost between tensors


@dataclass(frozen=True)
class Left:
    """A trial that is left to train."""

    trial: PlannedTrial
    steps: float  # of training that take as long as what is left of it, its tests included
    begun: Execution | None = None  # in which it goes on


@dataclass(frozen=True)
class Shape:
    """Trials that may train together, and how they do."""

    trials: tuple[Left, ...]
    choice: Choice
    learned: bool  # their pace is that of finished ones, not a measurement


@dataclass(frozen=True)
class Site:
    """Where trials train: on how many workers of which device, and what is asked of them."""

    device: str
    workers: int
    wanted: Workers = Workers()  # noqa: RUF009 - frozen

    def check(self) -> None:
        """Refuse an execution that there is not on such a device.

        Raises:
            InputError: it is asked for.
        """
        asked = self.wanted.mode
        if asked == "graphed" and self.device != "cuda":
            raise InputError(
                "execution: expected a GPU for graphed, on whose graphs it rests, got this machine without"
            )
        if asked == "compiled" and not compiled_works(self.device):
            raise InputError(
                "execution: expected a C++ compiler for compiled (apt install g++), found none"
            )

    @cached_property
    def may_compile(self) -> bool:
        """Whether compiled steps are a choice: on a GPU, graphs save the same without preparation."""
        return self.device == "cpu" and compiled_works(self.device)

    @cached_property
    def memory_bytes(self) -> float:
        """That one worker may use."""
        if self.device == "cuda":
            _, whole = torch.cuda.mem_get_info()
            return _USED * whole / self.wanted.packs_per_gpu
        whole = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        return _USED * whole / self.workers


def shapes(rates: Rates, left: Iterable[Left], site: Site) -> tuple[Shape, ...]:
    """Trials by their shape, those apart that began in another execution than is best now."""
    groups: defaultdict[str, list[Left]] = defaultdict(list)
    for each in left:
        groups[each.trial.variant.stacks_with].append(each)
    ladders = _ladders(rates, groups)
    by_shape = {
        shape: _Group(rates.of(shape), ladders[shape], group, site)
        for shape, group in groups.items()
    }
    first = {shape: group.choice() for shape, group in by_shape.items()}
    own_s = {shape: choice.seconds * by_shape[shape].steps for shape, choice in first.items()}
    whole_s = sum(own_s.values())
    found: list[Shape] = []
    for shape, group in by_shape.items():
        choice, others_s = first[shape], whole_s - own_s[shape]
        pack_s = choice.way.width * choice.seconds * group.longest
        if choice.way.width > 1 and site.workers * pack_s > own_s[shape]:  # some might idle
            choice = group.choice(others_s)
        found += group.parts(choice, others_s)
    return tuple(found)


@dataclass(frozen=True)
class _Group:
    """All that is left to train of a shape, and what is known of it."""

    known: Known
    ladder: Ladder
    trials: Sequence[Left]
    site: Site

    @cached_property
    def steps(self) -> float:
        """Of all together."""
        return sum(each.steps for each in self.trials)

    @cached_property
    def longest(self) -> float:
        """Steps of the longest."""
        return max(each.steps for each in self.trials)

    def parts(self, choice: Choice, others_s: float) -> Iterator[Shape]:
        """The trials that train as is best, and those that go on as they began."""
        learned = bool(self.known.seen)
        by_words: dict[str, list[Left]] = {}
        wanted = self.site.wanted
        for each in self.trials:
            execution, begun = choice.execution, each.begun
            if begun and wanted.mode in (None, begun.mode) and wanted.gpus_per_trial == begun.ranks:
                execution = begun
            by_words.setdefault(execution.words, []).append(each)
        for words, some in by_words.items():
            found = choice
            if len(by_words) > 1 or words != choice.execution.words:
                said = "" if words == choice.execution.words else "as they began"
                part = replace(self, trials=some)
                found = replace(
                    part.choice(others_s, (execution_of(words).mode, said)),
                    execution=execution_of(words),
                )
            yield Shape(tuple(some), found, learned)

    def choice(
        self, others_s: float = math.inf, mode_and_why: tuple[Mode, str] | None = None
    ) -> Choice:
        """How these trials train, beside others that take so long on one worker."""
        asked = self.site.wanted
        case = Case(
            self.ladder,
            len(self.trials),
            self.steps,
            self.longest,
            self.site.workers,
            mode=asked.mode,
            width=asked.pack,
            off_ladder=self.site.device == "cpu",
            others_s=others_s,
            may_compile=self.site.may_compile,
            prepared=self.known.prepared,
            failed=self.known.failed,
        )
        if asked.gpus_per_trial > 1:
            said = f"on {asked.gpus_per_trial} GPUs together"
            case = replace(case, mode="eager", width=1, said=said)
        elif mode_and_why is not None:
            mode, said = mode_and_why
            case = replace(case, mode=mode, said=said)
        found = choose(case)
        if asked.gpus_per_trial > 1:
            return replace(found, execution=Execution(ranks=asked.gpus_per_trial))
        trial = self.trials[0].trial
        numbers = found.way.width * trial.variant.of_shape(numbers_of_step)
        if _BYTES_OF_NUMBER * numbers <= self.site.memory_bytes:
            return found
        return self._fitting(case, trial.config)

    def _fitting(self, case: Case, config: TrialConfig) -> Choice:
        """The choice among packs that fit into memory; in parts, where one alone does not."""
        free = int(self.site.memory_bytes)
        fits = free // training_bytes([config], self.site.device)
        found = choose(replace(case, fits=max(1, fits)))
        if fits:
            return found
        execution = fitting_execution([config], self.site.device, free, found.way.mode)
        if execution is None:
            return replace(found, why=f"{found.why}, which may not fit into memory")
        return replace(found, execution=execution)


def _ladders(rates: Rates, groups: Mapping[str, Sequence[Left]]) -> dict[str, Ladder]:
    """The ladder of every shape: measured for a few, and interpolated between them."""
    families: defaultdict[str, list[str]] = defaultdict(list)
    for shape, group in groups.items():
        families[group[0].trial.config.model.kind].append(shape)
    flops = {
        shape: group[0].trial.flops // group[0].trial.variant.steps
        for shape, group in groups.items()
    }
    ladders: dict[str, Ladder] = {}
    for family in families.values():
        family.sort(key=flops.__getitem__)
        most = max(len(groups[shape]) for shape in family)
        last = len(family) - 1
        anchors: list[tuple[int, Ladder]] = []
        for number in sorted({last * place // _ANCHORS for place in range(_ANCHORS + 1)}):
            shape = family[number]
            anchors.append((flops[shape], rates.ladder(shape, groups[shape][0].trial.config, most)))
        for shape in family:
            ladders[shape] = {**between(anchors, flops[shape]), **rates.of(shape).measured}
    slower = rates.slower()
    return {shape: expected(ladder, rates.of(shape), slower) for shape, ladder in ladders.items()}
