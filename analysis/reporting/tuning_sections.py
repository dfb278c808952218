"""Sections on best settings, and on best sizes at equal compute."""

from collections.abc import Iterator

from analysis.isoflop.profiles import IsoFlop
from analysis.isoflop.profiles import as_table as isoflop_table
from analysis.reporting.decision_words import (
    drift_words,
    isoflop_words,
    transfer_words,
    tuning_words,
)
from analysis.reporting.figures.bowls import bowls_picture, drift_picture
from analysis.reporting.figures.isoflop import best_sizes_picture, profiles_picture
from analysis.reporting.sections import Grid, Section
from analysis.tuning.drift import Drift
from analysis.tuning.drift import as_table as drift_table
from analysis.tuning.settings import Tuning
from analysis.tuning.settings import as_table as tuning_table
from analysis.tuning.transfer import Transfer
from analysis.tuning.transfer import as_table as transfer_table


def tuning_sections(
    prefix: str, found: Tuning, drifts: tuple[Drift, ...] = (), carried: Transfer | None = None
) -> Iterator[Section]:
    """The best settings of every cell, how they move with scale, and what carrying them over costs."""
    names = " and ".join(found.settings)
    yield Section(
        f"Best {names}",
        tuning_words(found),
        table=Grid(*tuning_table(found)),
        picture=bowls_picture(f"{prefix}-bowls", found),
        findings=found.warnings,
    )
    for one in drifts:
        yield Section(
            f"How the best {one.setting} moves",
            drift_words(one),
            table=Grid(*drift_table(one)),
            picture=drift_picture(f"{prefix}-drift-{one.setting.replace('.', '-')}", one),
            findings=one.warnings,
            level=3,
        )
    if carried is not None:
        yield Section(
            f"Settings of the smallest {carried.along}, used at larger ones",
            transfer_words(carried),
            table=Grid(*transfer_table(carried)),
            findings=carried.warnings,
            level=3,
        )


def isoflop_sections(prefix: str, found: IsoFlop) -> Iterator[Section]:
    """The best size at each level of compute, and over compute."""
    yield Section(
        "IsoFLOP profiles",
        isoflop_words(found),
        table=Grid(*isoflop_table(found)),
        picture=profiles_picture(f"{prefix}-profiles", found),
        findings=found.warnings,
    )
    yield Section(
        "Best size over compute", picture=best_sizes_picture(f"{prefix}-sizes", found), level=3
    )
