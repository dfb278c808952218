"""The answer of a study in words: what was asked, what came out, and how sure it is."""

from collections.abc import Iterator

from analysis.contrast import Contrast
from analysis.judgement.trust import trust
from analysis.reporting.decision_words import (
    decided_words,
    drift_words,
    isoflop_words,
    transfer_words,
    tuning_words,
)
from analysis.reporting.opening import best_words, opening
from analysis.study import Study, Table, described
from analysis.summary import conditions, number, when, written
from analysis.sweep_fits import SweepFit


def answer(found: Study) -> tuple[str, ...]:
    """What came out, in the order in which a reader needs it; the first entry is the short answer."""
    fits = about_fits(found)
    tables = tuple(sentence for table in found.tables for sentence in _table(table))
    contrasts = tuple(sentence for one in found.contrasts for sentence in _contrast(one))
    best = best_words(found)
    return (
        opening(found, fits or tables or contrasts or ((best,) if best else ())),
        *fits,
        *tables,
        *contrasts,
        *_decisions(found),
        *_claims(found),
    )


def about_fits(found: Study) -> tuple[str, ...]:
    """One sentence for every fit: the exponents, and whether to trust them."""
    return tuple(_fit(one) for one in found.fits)


def _decisions(found: Study) -> Iterator[str]:
    """Best settings and best sizes, scales of targets and next runs."""
    for one in found.fits:
        where = f"{one.name} ({described(one.group)})"
        yield from (f"{where}: {sentence}" for sentence in decided_words(one.decisions))
    for one in found.tunings:
        if one.found is not None:
            yield f"{one.spec.name}: {tuning_words(one.found)}"
        yield from (drift_words(each) for each in one.drifts)
        if one.carried is not None:
            yield transfer_words(one.carried)
    for one in found.isoflops:
        if one.found is not None:
            yield f"{one.spec.name}: {isoflop_words(one.found)}"


def _claims(found: Study) -> Iterator[str]:
    """Why a no may be none, and the most likely reason for one; all else stands in the table."""
    for one in found.verdicts:
        if one.verdict == "not reproduced" and (one.likely or not one.sure):
            unsure = "" if one.sure else ", but uncertain"
            likely = f" The most likely reason: {one.likely.rstrip('.')}." if one.likely else ""
            yield f"Not reproduced{unsure}: {one.say} ({one.reason}).{likely}"


def _table(table: Table) -> Iterator[str]:
    rows = [(row.metrics[0].mean, row) for row in table.rows if row.metrics[0] is not None]
    if not rows:
        yield f"{table.spec.title}: no finished trial has {table.spec.metrics[0]}."
        return
    if len(rows) == 1:
        return
    low, lowest = min(rows, key=lambda one: one[0])
    high, highest = max(rows, key=lambda one: one[0])
    gaps = [abs(mean - row.beside.mean) for mean, row in rows if row.beside is not None]
    near = f", never more than {number(max(gaps))} from {table.spec.beside}" if gaps else ""
    yield (
        f"{table.spec.title}: {table.spec.metrics[0]} goes from {when(low)} "
        f"({conditions(lowest.group)}) to {when(high)} ({conditions(highest.group)}){near}."
    )


def _contrast(one: Contrast) -> Iterator[str]:
    known = [row.difference for row in one.rows if row.difference is not None]
    if not known:
        yield f"{one.spec.title}: there are no pairs of trials to compare."
        return
    up = sum(each.low is not None and each.low > 0 for each in known)
    down = sum(each.high is not None and each.high < 0 for each in known)
    ends = sorted(each.mean for each in known)
    yield (
        f"{one.spec.title}: against {one.spec.field} {written(one.spec.base)}, {one.spec.metric} "
        f"changes by {signed(ends[0])} to {signed(ends[-1])} over {_count(len(known), 'row')}; "
        f"the interval lies above zero in {up}, below zero in {down}."
    )


def _fit(one: SweepFit) -> str:
    where = f"{one.name} ({described(one.group)})"
    if one.fit is None:
        return f"No law was fitted for {where}: {one.refused}."
    return f"{one.fit.law.formula} for {where}: {trust(one.fit, one.backtests).line}."


def signed(value: float) -> str:
    """A difference with its sign."""
    return f"+{number(value)}" if value > 0 else number(value).replace("-", "−")


def _count(count: int, one: str, many: str = "") -> str:
    return f"{count} {one if count == 1 else many or one + 's'}"
