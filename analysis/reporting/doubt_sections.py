"""Sections on how far a fit may be believed: rows that carry it, choices, coefficients, forecasts."""

from collections.abc import Iterator, Sequence

from analysis.finding import Finding
from analysis.fit import Fit
from analysis.judgement.influence import influence
from analysis.judgement.sensitivity import sensitivity
from analysis.reporting.figures.coefficients import profile_picture
from analysis.reporting.sections import Grid, Section
from analysis.summary import between, number
from analysis.uncertainty.profile import Profile, profile
from trainers.schema import InputError

LISTED = 8  # rows of a table of single rows


def doubt_sections(prefix: str, fitted: Fit, names: Sequence[str] = ()) -> Iterator[Section]:
    """What would change with other values of each exponent, other choices, or other rows.

    `names` are those of the rows of the fit, where they have some.
    """
    if fitted.rows > len(fitted.law.coefficients):
        yield from _profiles(prefix, fitted)
        yield _sensitivity(fitted)
        yield _influence(fitted, names if len(names) == fitted.rows else None)


def check_section(checks: Sequence[Finding]) -> Iterator[Section]:
    """What the columns of the runs, or their configurations, say about the fit."""
    if checks:
        count = f"{len(checks)} thing{'' if len(checks) == 1 else 's'}"
        yield Section(
            "About the runs", f"{count} to know before the fit is used.", findings=tuple(checks)
        )


def _profiles(prefix: str, fitted: Fit) -> Iterator[Section]:
    """The profile of every coefficient that is searched: how well the runs determine it."""
    found: list[Profile] = []
    for one in fitted.law.nonlinear:
        try:
            found.append(profile(fitted, one.name))
        except InputError:
            continue
    if not found:
        return
    yield Section(
        "How well the exponents are determined",
        "How far each may lie from its best value, all other coefficients fitted again, before the "
        "fit gets worse than noise explains.",
        table=Grid(
            (
                "coefficient",
                f"{100 * found[0].level:g} % interval by its profile",
                "hardly worse",
            ),
            tuple(
                (one.name, _ends(one), between(one.flat[-1].low, one.flat[-1].high))
                for one in found
            ),
        ),
        note=f"Hardly worse: the objective is at most {100 * found[0].flat[-1].rise:g} % above its "
        "least.",
    )
    for one in found:
        yield Section(
            f"Profile of {one.name}",
            picture=profile_picture(
                f"{prefix}-profile-{one.name}",
                one.name,
                one.values,
                one.objective - min(one.lowest, fitted.objective),
                fitted.coefficient(one.name).value,
                threshold=one.rise,
                low=one.low,
                high=one.high,
            ),
            level=3,
            folded=True,
        )


def _ends(found: Profile) -> str:
    low = f"below {number(found.low)}" if found.low_open else number(found.low)
    high = f"beyond {number(found.high)}" if found.high_open else number(found.high)
    return f"{low} to {high}"


def _sensitivity(fitted: Fit) -> Section:
    found = sensitivity(fitted)
    # What is worth a warning is said there.
    warned = " ".join(one.text for one in found.warnings)
    quiet = [one.text for one in found.ranges if one.text.rstrip(".") not in warned]
    names = [one.name for one in fitted.law.nonlinear] or list(fitted.law.place)
    return Section(
        "Other choices",
        " ".join(f"{text.rstrip('.')}." for text in quiet),
        table=Grid(
            ("fitted", "rows", *names),
            tuple(
                (one.what, str(one.rows), *(number(dict(one.coefficients)[name]) for name in names))
                for one in found.variants
            ),
        ),
        findings=found.warnings,
        folded=True,
    )


def _influence(fitted: Fit, known: Sequence[str] | None) -> Section:
    found = influence(fitted, names=known)
    names = [one.name for one in fitted.law.nonlinear] or list(fitted.law.place)
    loudest = sorted(found.cases, key=lambda one: -one.distance)[:LISTED]
    rows = []
    for one in (*found.groups, *loudest):
        which = ", ".join(found.names[row] for row in one.rows[:LISTED])
        more = f" and {len(one.rows) - LISTED} more" if len(one.rows) > LISTED else ""
        change = dict(one.change)
        rows.append(
            (
                f"{one.why or 'single row'}\n{which}{more}",
                *(
                    f"{number(dict(one.coefficients)[name])}\n{change[name]:+.1f} se"
                    for name in names
                ),
                f"{one.distance:.2g}",
            )
        )
    answer = (
        "No row or group of rows moves an exponent by more than its uncertainty."
        if not found.warnings
        else "Some rows carry the fit."
    )
    return Section(
        "Rows that carry the fit",
        answer,
        table=Grid(("without", *names, "Cook's distance"), tuple(rows)),
        findings=found.warnings,
        note="Changes are in standard errors of the coefficient (se).",
        folded=True,
    )
