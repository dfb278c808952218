"""Checks of what is counted: embeddings among the parameters, repeated examples among the data."""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Float

from analysis.checks.columns import UNIQUE, Design, short, spread
from analysis.identify.findings import Finding

WITHOUT = ("params_no_embed", "params_non_embedding", "non_embedding_params", "n_params_no_embed")
WITH = ("params_with_embed", "all_params", "total_params", "params_total", "n_params_total")

MOVES = 0.05  # relative change of an exponent that is worth a word; few intervals are narrower
# Up to four epochs repeated data were worth about as much as fresh data in language models:
# Muennighoff et al. 2023, arXiv:2305.16264, abstract.
EPOCHS = 4.0
UNEQUAL = 1.1  # epochs that all runs have alike enter no exponent


def embeddings_counted(design: Design) -> Iterator[Finding]:
    """Embeddings that are a large part of small models and a small part of large ones.

    Source: Pearce and Song 2024, arXiv:2406.12907: at small scale this count alone turns one
    exponent of the optimal size into another.
    """
    counts = _both_counts(design)
    if counts is None:
        return
    without, total, used, least = counts
    if spread(without) < 2:
        return
    share = 1 - without / total
    small, large = int(np.argmin(without)), int(np.argmax(without))
    slope = float(np.polyfit(np.log(without), np.log(total), 1)[0])
    factor = 1 / slope if used == "without" else slope
    if abs(factor - 1) <= MOVES:
        return
    other = "with" if used == "without" else "without"
    yield Finding(
        "embeddings_counted",
        f"embeddings are {least}{share[small]:.0%} of all parameters at the smallest size "
        f"({short(float(without[small]))} without them) and {least}{share[large]:.0%} at the "
        f"largest; the fit counts parameters {used} them, and counted {other} them the exponent "
        f"would move, to about {factor:.2f} times its value; state the count beside the exponent, "
        "and compare it with exponents of the same count only",
    )


def data_repeated(design: Design) -> Iterator[Finding]:
    """Examples shown more than four times, in a fit whose law takes them all for fresh."""
    epochs = epochs_of(design)
    known = np.isfinite(epochs)
    if not bool(known.any()) or any(design.uses(name) for name in UNIQUE):
        return
    most = float(epochs[known].max())
    fresh = float(np.where(known, epochs, 1.0).min())
    if most <= EPOCHS or most < UNEQUAL * fresh:
        return
    count = int((epochs[known] > EPOCHS).sum())
    column = design.first(UNIQUE)
    yield Finding(
        "data_repeated",
        f"{count} of {len(design)} runs see their data more than {EPOCHS:g} times (up to "
        f"{short(most)} epochs), others down to {short(max(fresh, 1.0))}, and the law takes every "
        f"example for fresh; fit data_constrained, which knows {column}, or leave those runs out",
    )


def epochs_of(design: Design) -> Float[np.ndarray, " run"]:
    """How often each run sees an example; NaN where its data are fresh, or nothing is known."""
    column = design.first(UNIQUE)
    shown = np.full(len(design), np.nan)
    if column is None:
        return shown
    if column == "data.distinct":
        if design.has("examples"):
            shown = design.numbers("examples")
        elif design.has("batch_size"):
            shown = design.steps() * design.numbers("batch_size")
    else:
        length = design.inputs.get("tokens", design.inputs.get("D", "tokens"))
        shown = design.numbers(length) if design.has(length) else shown
    distinct = design.numbers(column)
    return np.divide(shown, distinct, out=np.full(len(design), np.nan), where=distinct > 0)


def embedding_params(design: Design) -> tuple[Float[np.ndarray, " run"], bool] | None:
    """Parameters of the embeddings of trials of ours, and whether that is all of them.

    A trial that does not report them has at least a vector for every digit of its base.
    """
    if design.has("embedding_params"):
        return design.numbers("embedding_params"), True
    if not (design.has("encoding.base") and design.has("model.kind") and design.has("model.width")):
        return None
    base, width = design.numbers("encoding.base"), design.numbers("model.width")
    if design.has("model.embed"):
        narrow = design.numbers("model.embed")
        width = np.where(np.isfinite(narrow), narrow, width)
    embedded = np.array([kind == "transformer" for kind in design.texts("model.kind")])
    if design.has("model.embed"):
        embedded |= np.isfinite(design.numbers("model.embed"))
    least = np.where(embedded & np.isfinite(base) & np.isfinite(width), base * width, 0.0)
    return least, False


def _both_counts(
    design: Design,
) -> tuple[Float[np.ndarray, " run"], Float[np.ndarray, " run"], str, str] | None:
    """Parameters without and with embeddings, which of the two the fit uses, and `at least `."""
    column = design.inputs.get("params", design.inputs.get("N"))
    if column is None and design.uses("params"):
        column = "params"
    if column is None or len(design) < 2:
        return None
    mine = design.numbers(column)
    if design.sweep is not None and column == "params":
        found = embedding_params(design)
        if found is None:
            return None
        more, whole = found
        return _usable(mine, mine + more, "without", "" if whole else "at least ")
    for names, mine_is in ((WITHOUT, "with"), (WITH, "without")):
        other = design.first([name for name in names if name != column])
        if other is None:
            continue
        theirs = design.numbers(other)
        pair = (theirs, mine) if mine_is == "with" else (mine, theirs)
        return _usable(*pair, mine_is, "")
    return None


def _usable(
    without: Float[np.ndarray, " run"], total: Float[np.ndarray, " run"], used: str, least: str
) -> tuple[Float[np.ndarray, " run"], Float[np.ndarray, " run"], str, str] | None:
    fine = (without > 0) & np.isfinite(total) & (total >= without)
    return (without, total, used, least) if bool(fine.all()) else None
