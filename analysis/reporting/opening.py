"""The paragraph that a report opens with: what came out of what was asked, and how sure that is."""

from collections import Counter
from collections.abc import Iterator, Sequence

from analysis.claims.verdict import Verdict
from analysis.study import Study
from analysis.summary import conditions, number, stated

NAMED = 3  # reproduced claims that the paragraph names; the table below has all


def opening(found: Study, sentences: Sequence[str]) -> str:
    """What came out and how sure; `sentences` are what to say where there are no claims to check."""
    judged = [one for one in found.verdicts if one.verdict != "not comparable"]
    parts = [*_came_out(found.verdicts, judged)] if found.verdicts else list(sentences[:2])
    return " ".join((*parts, *_how_sure(found, judged)))


def about_trials(found: Study) -> str:
    """How many trials finished, and what became of the others."""
    outcomes = Counter(one.outcome for one in found.omitted if one.outcome != "finished")
    total = found.finished + sum(outcomes.values())
    said = f"{found.finished:,} of {total:,} trials finished"
    rest = ", ".join(f"{count} {outcome}" for outcome, count in sorted(outcomes.items()))
    return f"{said}; {rest}, listed below with their reasons." if rest else f"{said}."


def best_words(found: Study) -> str:
    """The best trial by the objective, where any finished."""
    if found.best is None:
        return ""
    where = f", with {conditions(found.best.group)}" if found.best.group else ""
    return f"The best {found.sweep.objective.metric} is {number(found.best.value)}{where}."


def _came_out(verdicts: Sequence[Verdict], judged: Sequence[Verdict]) -> Iterator[str]:
    """The claims that hold and those that do not, with the figures of each."""
    yes = [one for one in judged if one.verdict == "reproduced"]
    no = [one for one in judged if one.verdict == "not reproduced"]
    left = [one for one in verdicts if one.verdict == "not comparable"]
    small = all(one.reason.startswith("the published figure") for one in left)
    if not judged:
        said = f"None of the {len(left)} claims can" if len(left) > 1 else "The one claim cannot"
        why = "the published figures need larger ones" if small else "the table says why"
        yield f"{said} be compared with these trials: {why}."
        return
    if len(judged) == 1:
        yield f"The one claim that can be checked here is {judged[0].verdict}: {_named(judged)}."
    elif not no:
        yield f"All {len(yes)} claims that can be checked here are reproduced: {_named(yes)}."
    elif not yes:
        yield f"None of the {len(no)} claims that can be checked here is reproduced: {_named(no)}."
    else:
        are = "is" if len(yes) == 1 else "are"
        yield f"Of {len(judged)} claims that can be checked here, {len(yes)} {are} reproduced:"
        yield f"{_named(yes)}."
        yield f"{len(no)} {'is' if len(no) == 1 else 'are'} not reproduced: {_named(no)}."
    if left and small:
        need = "needs" if len(left) == 1 else "need"
        yield f"{_count(len(left), 'more claim')} {need} larger trials than these."
    elif left:
        yield f"{_count(len(left), 'more claim')} cannot be compared, for the reason given below."


def _how_sure(found: Study, judged: Sequence[Verdict]) -> Iterator[str]:
    """What the verdicts rest on: their intervals, seeds, bounds chosen late, trials that are missing."""
    unsure = sum(not one.sure for one in judged)
    if judged:
        if not unsure:
            each = "each estimate's" if len(judged) > 1 else "the estimate's"
            sure = f"{each} whole 95 % interval lies on its side of the bound"
        elif unsure == len(judged):
            sure = "every verdict is uncertain" if unsure > 1 else "the verdict is uncertain"
            sure = f"{sure}, for the reason given with it"
        else:
            are = "is" if unsure == 1 else "are"
            sure = f"{unsure} of the {len(judged)} verdicts {are} uncertain, for the reason given"
        seeds = _count(found.sweep.replicates, "seed")
        yield f"How sure: {sure}; {seeds} of each setting; {about_trials(found)}"
    else:
        yield about_trials(found)
    late = sum(one.threshold_from == "result" for one in judged)
    if late:
        bounds = "One bound was" if late == 1 else f"{late} bounds were"
        yield f"{bounds} chosen after seeing these results."


def _named(verdicts: Sequence[Verdict]) -> str:
    """Claims in words; what was not reproduced is always named."""
    shown = [one for at, one in enumerate(verdicts) if at < NAMED or one.verdict != "reproduced"]
    said = "; ".join(map(_one, shown))
    more = len(verdicts) - len(shown)
    return f"{said}; and {more} more" if more else said


def _one(one: Verdict) -> str:
    """A claim with what came out beside what was published or expected."""
    unsure = "" if one.sure else "uncertain; "
    if one.published is not None:
        beside = f"published {stated(one.published)}"
    else:
        beside = f"expected {one.expected}"
    spread = f", interval {one.found.spread}" if one.found.spread else ""
    return f"{one.say} ({unsure}here {one.found.here}{spread}; {beside})"


def _count(count: int, noun: str) -> str:
    return f"{count} {noun if count == 1 else noun + 's'}"
