"""Checks of learning rate schedules: warm-up, decay and lengths that do not belong together."""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Bool, Float

from analysis.checks.columns import DECAY_STEPS, SCHEDULE, WARMUP, Design, listed, short, spread
from analysis.identify.findings import Finding

HALF_WARMING = 0.5  # beyond it most of a run was spent below the rate that it is said to have
SHORT_WARMUP = 0.1  # a warm-up of a tenth of the run or less is common practice at any size
UNEVEN_WARMUP = 4.0  # ratio of shares between runs of one fit; both this and the one above
OFF_LENGTH = 1.1  # a decay longer or shorter than the run by more than its usual rounding
UNDONE = 0.99  # share of its budget below which a run was stopped, whatever rounding did

FLAT = frozenset({"constant", "constant_with_warmup", "none"})
RISE_AND_STAY = frozenset({"inverse_sqrt"})


def warmup_too_long(design: Design) -> Iterator[Finding]:
    """Warm-up that is a large part of short runs and a small part of long ones.

    Source: Porian et al. 2024, arXiv:2406.19146, name it as one of three causes of a wrong exponent.
    """
    column = design.first(WARMUP)
    if column is None:
        return
    share = design.numbers(column) / design.steps()
    share = share[np.isfinite(share)]
    if not len(share) or share.max() <= SHORT_WARMUP:
        return
    longest, least = float(share.max()), float(share.min())
    if longest > HALF_WARMING:
        count = int((share > HALF_WARMING).sum())
        yield Finding(
            "warmup_too_long",
            f"warm-up takes {least:.1%} to {longest:.0%} of a run; "
            f"{count} of {len(share)} runs spend more than half of their steps on it, and their "
            f"losses are those of less training; run those again with {column} of 1 to 5 % of their steps",
        )
    elif least == 0 or longest > UNEVEN_WARMUP * least:
        yield Finding(
            "warmup_uneven",
            f"warm-up takes {least:.1%} to {longest:.0%} of a run; its cost falls on some runs more "
            f"than on others, and enters the exponent where that goes with scale; zip {column} with the "
            "budget so that the share stays the same",
        )


def schedules_mixed(design: Design) -> Iterator[Finding]:
    """Runs with different schedules in one fit: a constant rate beside a decayed one above all."""
    column = design.first(SCHEDULE)
    if column is None or design.uses(column):
        return
    names = design.texts(column)
    kinds = sorted(set(names))
    if len(kinds) > 1:
        counts = ", ".join(f"{names.count(kind)} {kind or 'without'}" for kind in kinds)
        flat = [kind for kind in kinds if kind.lower() in FLAT]
        words = (
            "a constant rate ends at a higher loss than a decayed one of equal length"
            if flat
            else "they end at different losses for equal length"
        )
        yield Finding(
            "schedules_mixed",
            f"the fit mixes learning rate schedules ({counts}), and {words}; fit one of them at a "
            f"time (split by {column}), or run all with one",
        )
        return
    for field in ("optimizer.decay_share", "optimizer.final_share"):
        if design.has(field) and design.varying(field) and not design.uses(field):
            values = listed(sorted(set(design.texts(field))))
            yield Finding(
                "schedules_mixed",
                f"the fit mixes schedules that end differently ({field} of {values}); fit one of "
                f"them at a time (split by {field}), or run all with one",
            )


def decay_off_length(design: Design) -> Iterator[Finding]:
    """A decay that was planned for another length than the run has.

    Source: Hagele et al. 2024, arXiv:2405.18392, figure 1: the cosine must match the run's length.
    """
    column = design.first(DECAY_STEPS)
    if column is None or not bool(_decays(design).any()):
        return
    ratio = design.numbers(column) / design.steps()
    known = np.isfinite(ratio) & (ratio > 0) & _decays(design)
    off = known & ((ratio > OFF_LENGTH) | (ratio < 1 / OFF_LENGTH))
    if off.any():
        yield Finding(
            "decay_off_length",
            f"in {int(off.sum())} of {int(known.sum())} runs the rate decays over another length "
            f"than the run has ({column} is {short(float(ratio[off].min()))} to "
            f"{short(float(ratio[off].max()))} times its steps); cut short, a loss is too high; run "
            "them with a decay as long as the run, or leave them out",
        )


def stopped_before_decay(design: Design) -> Iterator[Finding]:
    """Runs that ended before their budget, and so before the rate had fallen."""
    if not (design.has("examples") and design.has("batch_size")):
        return
    done = design.numbers("examples") / (design.steps() * design.numbers("batch_size"))
    early = np.isfinite(done) & (done < UNDONE) & _decays(design)
    if early.any():
        yield Finding(
            "stopped_before_decay",
            f"{int(early.sum())} of {len(design)} rows were measured before the end "
            f"({done[early].min():.0%} of it, the earliest) of a run whose rate decays to its end: "
            "their losses are higher than those of runs planned for that length; leave them out, or "
            "run such lengths with a budget of their own",
        )


def lengths_without_decay(design: Design) -> Iterator[Finding]:
    """Lengths compared under `inverse_sqrt`, which ends at another rate for each of them."""
    column = design.first(SCHEDULE)
    if column is None:
        return
    steps = design.steps()
    named = {name.lower() for name in design.texts(column)}
    known = steps[np.isfinite(steps)]
    if len(known) and named and named <= RISE_AND_STAY and spread(known) > UNEVEN_WARMUP:
        yield Finding(
            "lengths_without_decay",
            f"runs of {short(float(known.min()))} to {short(float(known.max()))} steps end at rates "
            "that differ, since inverse_sqrt knows no length: a longer run gains from its lower "
            "rate as well; use a schedule that decays to the end of each run",
        )


def _decays(design: Design) -> Bool[np.ndarray, " run"]:
    """Whether the rate of a run falls towards its end; not where no schedule is named."""
    column = design.first(SCHEDULE)
    if column is None:
        return np.zeros(len(design), dtype=np.bool_)
    names = [name.lower() for name in design.texts(column)]
    stays = FLAT | RISE_AND_STAY | {""}
    kept = final_shares(design)
    return np.array([name not in stays for name in names], dtype=np.bool_) & (kept < 1)


def final_shares(design: Design) -> Float[np.ndarray, " run"]:
    """The share of the rate that is left at the end of each run; 0 where it is not said."""
    if not design.has("optimizer.final_share"):
        return np.zeros(len(design))
    return np.nan_to_num(design.numbers("optimizer.final_share"))
