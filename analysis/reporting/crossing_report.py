"""The crossover of two groups of a table, as sentences, sections of a report and plain data."""

from collections.abc import Iterator, Sequence

from analysis.fit import as_document as fit_document
from analysis.judgement.between_groups import Groups, cross
from analysis.judgement.crossover import Mode, as_document
from analysis.judgement.trust import headlines
from analysis.reporting.decided import Decided
from analysis.reporting.figures.crossing import crossing_picture
from analysis.reporting.fit_sections import coefficient_section
from analysis.reporting.sections import Grid, Section
from analysis.request import Request, asked, numbers_of
from analysis.summary import number
from trainers.schema import InputError


def crossing_of_table(
    request: Request,
    law: str,
    split: str,
    *,
    along: str = "",
    held: Sequence[str] = (),
    mode: str = "min",
    bootstrap: int,
    seed: int,
) -> Decided:
    """Fit the law to two groups of a table and say where the fits cross.

    `split` is a column of two values, or `column=one,other`.

    Raises:
        InputError: an option, the table or one of its values cannot be used.
    """
    of = asked(request, [law])
    column, names = _split(split)
    found = cross(
        of.laws[0],
        of.runs,
        of.inputs,
        of.target,
        split=column,
        names=names,
        along=along,
        held=dict(numbers_of("--held", held)),
        mode=_mode(mode),
        objective=of.objective,
        pool=of.pool,
        columns=of.columns,
        bootstrap=bootstrap,
        seed=seed,
    )
    return Decided(
        f"{found.names[0]} or {found.names[1]}: {request.table.name}",
        crossing_words(found),
        tuple(crossing_sections("crossing", found)),
        crossing_data(found),
    )


def crossing_words(found: Groups) -> tuple[str, ...]:
    """Which group is better where, how sure that is, and what was held."""
    crossing = found.found
    said = [f"{crossing.text}."]
    if crossing.probability_inside is not None:
        said.append(
            f"They cross within the data, {found.along} {number(crossing.inside[0])} to "
            f"{number(crossing.inside[1])}, in {100 * crossing.probability_inside:.0f} % of the "
            f"{crossing.draws:,} resamples, and up to {found.along} {number(crossing.within[1])} "
            f"in {100 * (crossing.probability_within or 0.0):.0f} %."
        )
    if found.held:
        kept = ", ".join(f"{name} at {number(value)}" for name, value in found.held)
        said.append(f"Along {found.along}, with {kept}.")
    return tuple(said)


def crossing_sections(prefix: str, found: Groups) -> Iterator[Section]:
    """The figure and the table of both groups, then the coefficients of each."""
    yield Section(
        "Where they cross",
        table=Grid(
            (found.column, "rows", "exponents", "status"),
            tuple(
                (
                    name,
                    str(one.rows),
                    ", ".join(each.text for each in headlines(one)),
                    one.status,
                )
                for name, one in zip(found.names, found.fits, strict=True)
            ),
        ),
        picture=crossing_picture(f"{prefix}-laws", found),
        findings=found.found.warnings,
    )
    for name, one in zip(found.names, found.fits, strict=True):
        shown = coefficient_section(f"The law of {name}", one, None)
        yield shown


def crossing_data(found: Groups) -> dict[str, object]:
    """A crossover of two groups as plain data for JSON; these names are public."""
    return {
        "split": found.column,
        "along": found.along,
        "held": dict(found.held),
        "crossover": as_document(found.found),
        "fits": {
            name: fit_document(one) for name, one in zip(found.names, found.fits, strict=True)
        },
    }


def _split(text: str) -> tuple[str, tuple[str, str] | None]:
    column, equals, values = text.partition("=")
    if not equals:
        return column, None
    names = tuple(one.strip() for one in values.split(","))
    if len(names) != 2 or not all(names):
        raise InputError(f"--split {text}: expected COLUMN or COLUMN=ONE,OTHER")
    return column, (names[0], names[1])


def _mode(text: str) -> Mode:
    if text == "min" or text == "max":
        return text
    raise InputError(f"--mode: expected min or max, got {text!r}")
