"""Decisions from a bare table, without a law: best settings of every cell, best sizes at equal compute."""

from collections.abc import Sequence
from pathlib import Path

from analysis.cells import headers
from analysis.isoflop.profiles import as_document as isoflop_document
from analysis.isoflop.profiles import isoflop
from analysis.reporting.decided import Decided
from analysis.reporting.decision_words import (
    drift_words,
    isoflop_words,
    transfer_words,
    tuning_words,
)
from analysis.reporting.tuning_sections import isoflop_sections, tuning_sections
from analysis.runs import read_table, with_numbers
from analysis.tuning.drift import as_document as drift_document
from analysis.tuning.drift import drift
from analysis.tuning.settings import as_document as tuning_document
from analysis.tuning.settings import tuning
from analysis.tuning.transfer import as_document as transfer_document
from analysis.tuning.transfer import transfer
from analysis.where import parse_where
from trainers.schema import InputError

MOST_CELLS = 2_000


def tuning_of_table(
    table: Path,
    settings: Sequence[str],
    by: Sequence[str],
    loss: str,
    where: str = "",
    over: Sequence[str] = (),
    along: str = "",
) -> Decided:
    """The best settings of every cell of a table; `over` follows them, `along` carries them over.

    Raises:
        InputError: the table or an option cannot be used.
    """
    numbers: list[str] = list(dict.fromkeys([*settings, *over, *([along] if along else []), loss]))
    extra = tuple(one for one in headers(table))
    runs = read_table(
        table, {one: one for one in numbers}, parse_where(where) if where else (), extra
    )
    runs = with_numbers(runs, by)
    known = [one for one in by if one in runs.table.columns]
    cells = len(runs.table[known].drop_duplicates()) if known else 0
    if cells > MOST_CELLS:
        raise InputError(
            f"--by: expected columns whose values come again, at most {MOST_CELLS:,} cells, "
            f"got {cells:,} cells of {len(runs):,} rows"
        )
    found = tuning(runs, settings=settings, fields=by, target=loss)
    drifts = tuple(drift(found, one, over) for one in settings if over)
    carried = transfer(found, along) if along else None
    return Decided(
        f"best {' and '.join(settings)}: {table.name}",
        (
            tuning_words(found),
            *(drift_words(one) for one in drifts),
            *(() if carried is None else (transfer_words(carried),)),
        ),
        tuple(tuning_sections("tuning", found, drifts, carried)),
        {
            "best": tuning_document(found),
            "drifts": [drift_document(one) for one in drifts],
            "transfer": None if carried is None else transfer_document(carried),
        },
    )


def isoflop_of_table(
    table: Path,
    params: str,
    tokens: str,
    loss: str,
    where: str = "",
    levels: Sequence[float] = (),
    there: float | None = None,
) -> Decided:
    """The best size at each level of compute of a table, and at `there` FLOPs.

    Raises:
        InputError: the table or an option cannot be used.
    """
    mapping = {one: one for one in (params, tokens, loss)}
    runs = read_table(table, mapping, parse_where(where) if where else ())
    found = isoflop(
        runs, params=params, tokens=tokens, target=loss, levels=levels or None, there=there
    )
    return Decided(
        f"IsoFLOP profiles: {table.name}",
        (isoflop_words(found),),
        tuple(isoflop_sections("isoflop", found)),
        isoflop_document(found),
    )
