"""The answer of a study in words: what was asked, what came out, and how sure it is."""

from collections import Counter
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
from analysis.study import Study, SweepFit, Table, described
from analysis.summary import conditions, number, written


def answer(found: Study) -> tuple[str, ...]:
    """What came out, in the order in which a reader needs it; the first entry is the short answer."""
    return (
        about_trials(found),
        *about_fits(found),
        *(sentence for table in found.tables for sentence in _table(table)),
        *(sentence for one in found.contrasts for sentence in _contrast(one)),
        *_decisions(found),
        *_claims(found),
    )


def about_trials(found: Study) -> str:
    """How the claims went, and how many trials finished."""
    return " ".join((*_verdicts(found), _trials(found)))


def about_fits(found: Study) -> tuple[str, ...]:
    """One sentence for every fit: the exponents, and whether to trust them."""
    return tuple(_fit(one) for one in found.fits)


def _trials(found: Study) -> str:
    outcomes = Counter(one.outcome for one in found.omitted if one.outcome != "finished")
    total = found.finished + sum(outcomes.values())
    said = f"{found.finished} of {total} trials finished"
    rest = ", ".join(f"{count} {outcome}" for outcome, count in sorted(outcomes.items()))
    return f"{said}; {rest}, listed below with their reasons." if rest else f"{said}."


def _verdicts(found: Study) -> Iterator[str]:
    counts = Counter(one.verdict for one in found.verdicts)
    parts = [
        f"{counts[verdict]} {'is' if counts[verdict] == 1 else 'are'} {words}"
        for verdict, words in (
            ("reproduced", "reproduced"),
            ("not reproduced", "not reproduced"),
            ("not comparable", "not comparable with these trials"),
        )
        if counts[verdict]
    ]
    if parts:
        yield f"Of {_count(len(found.verdicts), 'published claim')}, {', '.join(parts)}."
    unsure = sum(not one.sure and one.verdict != "not comparable" for one in found.verdicts)
    if unsure:
        verdicts = "One verdict is" if unsure == 1 else f"{unsure} verdicts are"
        yield f"{verdicts} uncertain, for the reason given with it."


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
    """A no with its reason, each by itself; the rest by name, since each stands below with its own."""
    for one in found.verdicts:
        if one.verdict == "not reproduced":
            unsure = "" if one.sure else ", but uncertain"
            yield f"Not reproduced{unsure}: {one.say} ({one.reason})."
    for verdict in ("reproduced", "not comparable"):
        names = [one.say for one in found.verdicts if one.verdict == verdict]
        if names:
            yield f"{verdict.capitalize()}: {'; '.join(names)}."


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
        f"{table.spec.title}: {table.spec.metrics[0]} goes from {number(low)} "
        f"({conditions(lowest.group)}) to {number(high)} ({conditions(highest.group)}){near}."
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
