"""What is asked of a GPU of the H200's class, and whether the figures say that it was reached."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from tests.benchmarks import gpu_work
from tests.benchmarks.gpu_program import INT2INT, WHOLE, Sizes, part_of
from tests.benchmarks.gpu_watch import Watch
from tests.benchmarks.shapes import Shape

H200_TFLOPS = 790.0  # of bfloat16 products of random numbers, measured once
_MINUTES = 12.0

Wanted = Callable[[str], bool]


@dataclass(frozen=True)
class Goal:
    """A figure that is asked for; without one found, a part of it was not measured."""

    name: str
    asked: float
    found: float | None
    unit: str
    note: str
    at_most: bool = False
    judged: bool = True  # what is found in other sizes than those asked for says nothing

    @property
    def verdict(self) -> str:
        """Whether it was reached."""
        if not self.judged:
            return "not judged"
        if self.found is None:
            return "not measured"
        reached = self.found <= self.asked if self.at_most else self.found >= self.asked
        return "reached" if reached else "MISSED"


def shown(goal: Goal) -> str:
    """One line of the table."""
    asked = f"{'<=' if goal.at_most else '>='} {goal.asked:g} {goal.unit}"
    found = "-" if goal.found is None else f"{goal.found:.2f} {goal.unit}"
    return f"{goal.name:62} {asked:12} {found:14} {goal.verdict:13} {goal.note}".rstrip()


def goals(watch: Watch, sizes: Sizes) -> Iterator[Goal]:
    """All of them, from the figures found so far."""
    for goal in _goals(watch, sizes):
        yield replace(goal, judged=sizes == WHOLE and watch.device.type == "cuda")


def _goals(watch: Watch, sizes: Sizes) -> Iterator[Goal]:
    small, wide = sizes.small, sizes.wide
    yield _ratio(watch, "packs / a lone eager trial", 10, small, _packs, _is("1 trial, eager"))
    yield _ratio(watch, "packs / a lone graphed trial", 4, small, _packs, _is("1 trial, graphed"))
    yield _ratio(watch, "a lone trial / eager", 1.5, wide, _prepared, _is("1 trial, eager"))
    yield from _shares(watch, sizes.full)
    minutes = watch.least(part_of(sizes.published), lambda what: "examples, " in what)
    name = f"90 million examples: {part_of(sizes.published)}"
    yield Goal(name, _MINUTES, minutes, "min", "from the run's own batch", at_most=True)
    for shape in (replace(small, encoder=small.decoder), sizes.full):
        peer = watch.value(part_of(replace(shape, precision="float32")), INT2INT)
        ours = {
            precision: watch.best(part_of(replace(shape, precision=precision)), _ours)
            for precision in ("float32", "bfloat16")
        }
        ratio, precision = max(
            ((value / peer, name) for name, value in ours.items() if value and peer),
            default=(None, "-"),
        )
        note = f"{precision} / float32"
        yield Goal(f"best / Int2Int's style: {shape.name}", 30, ratio, "x", note)


def _ratio(
    watch: Watch, name: str, asked: float, shape: Shape, over: Wanted, under: Wanted
) -> Goal:
    """In float32 or in bfloat16, whichever gains more; both sides have the same."""
    found: list[tuple[float, str]] = []
    for precision in ("float32", "bfloat16"):
        part = part_of(replace(shape, precision=precision))
        ours, peer = watch.best(part, over), watch.best(part, under)
        if ours and peer:
            found.append((ours / peer, precision))
    ratio, precision = max(found, default=(None, ""))
    return Goal(f"{name}: {shape.name}", asked, ratio, "x", precision)


def _shares(watch: Watch, shape: Shape) -> Iterator[Goal]:
    """Of what the card does in a large product, and of what an H200 does."""
    ours, card = watch.best(part_of(shape), _lone), watch.value("card", "bfloat16 products")
    done = None if ours is None else ours * gpu_work.flops_of(shape) / 1e12
    rates = ((card, "of the card's bf16 rate"), (H200_TFLOPS, f"of {H200_TFLOPS:g} TFLOP/s"))
    for rate, name in rates:
        share = None if done is None or not rate else 100 * done / rate
        note = "" if done is None else f"{done:.1f} TFLOP/s"
        yield Goal(f"{name}: {shape.name}", 35, share, "%", note)


def _is(name: str) -> Wanted:
    return lambda what: what == name


def _packs(what: str) -> bool:
    return what.startswith("pack of ")


def _lone(what: str) -> bool:
    return what.startswith("1 trial, ")


def _prepared(what: str) -> bool:
    return what in ("1 trial, graphed", "1 trial, compiled")


def _ours(what: str) -> bool:
    return _packs(what) or _lone(what)
