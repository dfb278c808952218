"""Checks of a design: what is wrong with the runs of a fit, whatever the law, and what to run instead."""

from collections.abc import Callable, Iterator, Mapping

from analysis.checks.columns import Design
from analysis.checks.counts import data_repeated, embeddings_counted
from analysis.checks.ended import survivors_only
from analysis.checks.mixed import data_mixed, evaluations_mixed, versions_mixed
from analysis.checks.noise import noise_uneven, replicates_unequal, seeds_tie_cells
from analysis.checks.rows import (
    checkpoints_as_runs,
    duplicate_rows,
    near_levels,
    same_trial_twice,
)
from analysis.checks.schedule import (
    decay_off_length,
    lengths_without_decay,
    schedules_mixed,
    stopped_before_decay,
    warmup_too_long,
)
from analysis.checks.tuning import (
    batch_on_edge,
    batch_untuned,
    rate_grid_coarse,
    rate_on_edge,
    rate_untuned,
)
from analysis.checks.units import (
    constant_ratio,
    counts_in_units,
    flops_off,
    loss_in_bits,
    loss_is_perplexity,
    rises_together,
    share_in_percent,
    tokens_per_param,
)
from analysis.identify.findings import Finding
from analysis.points import Pool
from analysis.runs import Runs
from sweeps.spec import Sweep
from trainers.schema import InputError

Check = Callable[[Design], Iterator[Finding]]

CHECKS: tuple[Check, ...] = (
    checkpoints_as_runs,
    duplicate_rows,
    same_trial_twice,
    near_levels,
    counts_in_units,
    tokens_per_param,
    flops_off,
    loss_in_bits,
    loss_is_perplexity,
    share_in_percent,
    constant_ratio,
    rises_together,
    warmup_too_long,
    schedules_mixed,
    decay_off_length,
    stopped_before_decay,
    lengths_without_decay,
    rate_untuned,
    rate_on_edge,
    rate_grid_coarse,
    batch_untuned,
    batch_on_edge,
    survivors_only,
    embeddings_counted,
    data_repeated,
    versions_mixed,
    evaluations_mixed,
    data_mixed,
    noise_uneven,
    replicates_unequal,
    seeds_tie_cells,
)
"""Every check, in the order in which a reader should hear of them."""


def design_checks(
    sweep: Sweep,
    runs: Runs,
    inputs: Mapping[str, str],
    target: str,
    *,
    pool: Pool = "none",
    cluster: str | None = None,
) -> tuple[Finding, ...]:
    """What the configurations of a sweep's trials say about a fit of them.

    Raises:
        InputError: an input or the target is no column of the runs.
    """
    return _found(Design(runs, dict(inputs), target, sweep, pool, cluster))


def table_checks(
    runs: Runs,
    inputs: Mapping[str, str],
    target: str,
    *,
    pool: Pool = "none",
    cluster: str | None = None,
) -> tuple[Finding, ...]:
    """The same for a table from elsewhere, as far as its columns tell; columns of text may be there.

    Raises:
        InputError: an input or the target is no column of the table.
    """
    return _found(Design(runs, dict(inputs), target, None, pool, cluster))


def _found(design: Design) -> tuple[Finding, ...]:
    for column in (*design.inputs.values(), design.target):
        if not design.has(column):
            raise InputError(f"{column}: expected a column or field of that name, there is none")
    if len(design) == 0:
        return tuple(survivors_only(design))
    return tuple(finding for check in CHECKS for finding in check(design))
