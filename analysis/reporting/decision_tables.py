"""Tables of decisions: best sizes, what other choices lose, runs to buy; for reports and terminals."""

from analysis.allocation.budgets import Allocation
from analysis.allocation.optimum import Best, share_words
from analysis.allocation.ranged import Ranged, brief, interval_words
from analysis.judgement.trust import rounded
from analysis.next_runs.plan import NextRuns, Purchase, place_words
from analysis.reporting.sections import Grid
from analysis.summary import number


def best_table(found: Allocation) -> Grid:
    """The best size and tokens at every budget, with intervals."""
    headers = (
        found.cost.unit,
        "parameters",
        "tokens",
        "tokens per parameter",
        found.target,
        "sizes that lose at most 0.1 %",
    )
    return Grid(headers, tuple(_best(one) for one in found.best))


def losses_table(found: Allocation) -> Grid | None:
    """What other choices lose at every budget; None where none were asked for."""
    rows = [
        (
            brief(best.budget),
            other.what,
            number(other.params),
            number(other.tokens),
            _lost(best, at),
        )
        for best in found.best
        for at, other in enumerate(best.alternatives)
    ]
    headers = (found.cost.unit, "choice", "parameters", "tokens", f"higher {found.target}")
    return Grid(headers, tuple(rows)) if rows else None


def runs_table(found: NextRuns, runs: tuple[Purchase, ...], *, batch: bool) -> Grid | None:
    """Runs to buy: in a batch what all so far leave, else what each leaves by itself."""
    if not runs:
        return None
    alone = f"one run ({found.unit})", "interval it leaves alone"
    if not batch:
        return Grid(
            ("where", *alone),
            tuple((place_words(one, found.names), *_alone(one)) for one in runs),
        )
    rows = tuple(
        (str(one.count), place_words(one, found.names), *_alone(one), f"{one.left:.0%}")
        for one in runs
    )
    return Grid(("runs", "where", *alone, "interval left after these"), rows)


def _alone(one: Purchase) -> tuple[str, str]:
    return brief(one.cost), f"{one.alone:.0%}" if one.alone <= 0.99 else f"{one.alone:.1%}"


def _best(one: Best) -> tuple[str, ...]:
    if not one.inner:
        return (
            brief(one.budget),
            "no optimum",
            "no optimum",
            "none",
            number(one.loss.value),
            "none",
        )
    as_good = "none"
    if one.as_good is not None:
        as_good = f"{brief(one.as_good[0])} to\n{brief(one.as_good[1])}"
    return (
        brief(one.budget),
        _cell(one.params),
        _cell(one.tokens),
        _cell(one.ratio),
        "\n".join(rounded(one.loss.value, one.loss.low, one.loss.high)),
        as_good,
    )


def _cell(one: Ranged) -> str:
    """The number, and below it its interval."""
    return f"{brief(one.value)}\n{interval_words(one)}"


def _lost(best: Best, at: int) -> str:
    other = best.alternatives[at]
    most = other.lost.high
    interval = "" if most is None else f"\nat most {share_words(most / abs(best.loss.value))}"
    return f"{share_words(other.share)}{interval}"
