"""The answer of every decision in one sentence: best settings, how they move, best sizes."""

from collections.abc import Iterator

from analysis.allocation.cost_models import CostModel
from analysis.allocation.ranged import brief
from analysis.decisions import Decisions
from analysis.isoflop.profiles import IsoFlop
from analysis.summary import between, number
from analysis.tuning.drift import Drift
from analysis.tuning.settings import Tuning
from analysis.tuning.transfer import Transfer


def decided_words(found: Decisions) -> Iterator[str]:
    """One sentence for every decision by a fit that was asked for."""
    if found.allocation is not None:
        yield from (f"{one.text}." for one in found.allocation.best)
    yield from (f"{_capital(one.text)}." for one in found.reaches)
    yield from (f"{_capital(one.text)}." for one in found.next_runs)
    yield from (f"Not decided: {one}." for one in found.refused)


def cost_words(of: CostModel) -> str:
    """What a cost is, with its numbers and its unit."""
    numbers = "".join(f", {name} {number(value)}" for name, value in of.numbers)
    formula = of.formula.split("=", 1)[1].strip()
    if of.throughput is None:
        return f"{formula}{numbers}, in {of.unit}"
    speeds = [
        f"{brief(speed)} FLOPs a second"
        + (f" at {brief(size)} parameters" if len(of.throughput.params) > 1 else "")
        for size, speed in zip(of.throughput.params, of.throughput.flops_per_s, strict=True)
    ]
    return f"{formula}{numbers}, in {of.unit} at {', '.join(speeds)}"


def _capital(text: str) -> str:
    """The text as the start of a sentence; a coefficient's name stays as it is."""
    return text if text.split(" (")[0].isidentifier() else text[:1].upper() + text[1:]


def tuning_words(found: Tuning) -> str:
    """How many cells have a best setting inside what was tried."""
    good, all_ = len(found.found), len(found.optima)
    said = f"{good} of {all_} cells have their best {' and '.join(found.settings)} inside the values tried"
    edges = sum(any(one.edge) or any(one.border) for one in found.optima)
    return f"{said}; in {edges} it lies at an edge." if edges else f"{said}."


def drift_words(found: Drift) -> str:
    """The exponents of the power law of the best value."""
    parts = [
        f"{one.name}^{number(one.value)}"
        + ("" if one.low is None else f" ({between(one.low, one.high)})")
        for one in found.trend.slopes
    ]
    still = [found.still(name) for name in found.trend.inputs]
    zero = "; the interval contains 0: it may not move at all" if all(still) else ""
    return f"The best {found.setting} goes as {' '.join(parts)}{zero}."


def transfer_words(found: Transfer) -> str:
    """The largest loss by carrying settings over."""
    known = [one.regret for one in found.regrets if one.regret is not None]
    if not known:
        return "No two cells can be compared."
    worst = max(known)
    size = f"{worst:.2%} of the loss" if found.relative else number(worst)
    return f"Carried over, they lose at most {size}."


def isoflop_words(found: IsoFlop) -> str:
    """What every way says of the best size at the wanted compute."""
    said = [
        f"{one.way} {number(one.params_there.value)}"
        + (
            ""
            if one.params_there.low is None
            else f" ({between(one.params_there.low, one.params_there.high)})"
        )
        for one in found.routes
        if one.params_there is not None
    ]
    if not said:
        return "No power law: too few levels have a vertex inside the sizes tried."
    return f"Best size at {number(found.there)} FLOPs: {'; '.join(said)} parameters."
