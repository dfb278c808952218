"""Checks of units: millions for counts, bits and perplexity for nats, percent for shares, 6 N D."""

import math
from collections.abc import Iterator

import numpy as np
from jaxtyping import Float

from analysis.checks.columns import Design, short, spread
from analysis.identify.findings import Finding

COUNTS = ("params", "tokens", "N", "D", "flops", "unique_tokens", "unique")
WHOLE = 1e4  # counts of parameters or tokens below this are whole numbers, if they are counts
# Tokens per parameter of published runs lie between 0.04 and some thousands; a slip by a million,
# the least there is between neighbours of N and D, leaves this range even from its middle.
MOST_PER_PARAM, LEAST_PER_PARAM = 1e6, 1e-5
SLIP = 1.5  # of a thousand, a million, ..: what 6 N D itself is off by, with attention and head
TIGHT = 1.02  # spread of flops / (N D) within which it is a formula and not a count
MOST_NATS = 14.0  # ln(10^6): guessing among a million tokens costs less than that
PF_DAYS = 8.64e19  # FLOPs of 10^15 a second for a day

PREFIXES = {1e3: "thousands", 1e6: "millions", 1e9: "billions", 1e12: "trillions"}
PARTS = {1 / 6: "they are N D, and lack the 6", 1 / 3: "they are 2 N D, the forward pass alone"}
LOSSES = ("loss", "nll", "cross_entropy", "xent")
PERPLEXITIES = ("perplexity", "ppl")
SHARES = ("accuracy", "acc", "error", "err", "share", "rate", "pass")


def counts_in_units(design: Design) -> Iterator[Finding]:
    """Parameters or tokens that are no whole numbers: they are in millions or billions."""
    if design.sweep is not None:
        return
    for name, column in design.inputs.items():
        if name not in COUNTS:
            continue
        values = design.numbers(column)
        if not bool((np.isfinite(values) & (values < WHOLE)).all()):
            continue
        if bool((np.abs(values - np.round(values)) > 1e-6 * np.abs(values)).any()):
            yield Finding(
                "counts_in_units",
                f"{name} runs from {short(float(values.min()))} to {short(float(values.max()))}, "
                "not in whole numbers: it seems to be in millions or billions; exponents stay as "
                "they are, but amplitudes, 6 N D and optima need plain counts: multiply the column",
            )


def tokens_per_param(design: Design) -> Iterator[Finding]:
    """A ratio of tokens to parameters that no training has: one of the two is in other units."""
    both = _size_and_length(design)
    if both is None or design.sweep is not None:
        return
    ratio = float(np.median(both[1] / both[0]))
    if LEAST_PER_PARAM <= ratio <= MOST_PER_PARAM:
        return
    off = "params" if ratio > 1 else "tokens"
    yield Finding(
        "tokens_per_param",
        f"there are {short(ratio)} tokens for each parameter; published runs have 0.01 to some "
        f"thousands, so {off} seems to be in millions or billions; write both as plain counts",
    )


def flops_off(design: Design) -> Iterator[Finding]:
    """FLOPs that are not near 6 N D: another unit, or another count."""
    both = _size_and_length(design)
    if both is None or design.sweep is not None or not design.has("flops"):
        return
    flops = design.numbers("flops")
    if not bool((flops > 0).all()):
        return
    ratio = flops / (6 * both[0] * both[1])
    factor = float(np.median(ratio))
    words = _slip(factor)
    if words is None and spread(ratio) < TIGHT:
        words = next((said for part, said in PARTS.items() if abs(part / factor - 1) < 0.02), None)
    if words is not None:
        yield Finding(
            "flops_off",
            f"flops are {short(factor)} times 6 params tokens in the median run: {words}; a budget "
            "and an optimum under 6 N D would be off by as much",
        )


def loss_in_bits(design: Design) -> Iterator[Finding]:
    """A loss whose perplexity stands beside it as 2^loss: it is in bits, not in nats."""
    column = design.first(PERPLEXITIES)
    if column is None or not _is_loss(design.target):
        return
    loss, perplexity = design.numbers(design.target), design.numbers(column)
    known = np.isfinite(loss) & (perplexity > 1) & (loss > 0)
    if not bool(known.any()):
        return
    bits = np.abs(np.log2(perplexity[known]) / loss[known] - 1)
    if bool((bits < 1e-2).all()):
        yield Finding(
            "loss_in_bits",
            f"{column} is 2^{design.target}, so the loss is in bits; coefficients in nats are "
            f"ln 2 = {math.log(2):.4f} times as large, exponents stay",
        )


def loss_is_perplexity(design: Design) -> Iterator[Finding]:
    """A loss above what guessing costs: a perplexity, or a sum over a batch."""
    if design.sweep is not None or not _is_loss(design.target) or _of_language(design) is None:
        return
    measured = design.target_at(design.measured())
    if len(measured) and float(np.median(measured)) > MOST_NATS:
        yield Finding(
            "loss_is_perplexity",
            f"{design.target} is {short(float(np.median(measured)))} in the median run, more nats a "
            "token than guessing among a million words costs: it seems to be a perplexity, or a sum "
            "over many tokens; power laws are in nats: take the logarithm of a perplexity",
        )


def share_in_percent(design: Design) -> Iterator[Finding]:
    """An accuracy or error from 0 to 100: laws of shares need 0 to 1."""
    words = design.target.lower().replace("/", "_").split("_")
    if design.sweep is not None or not any(word in SHARES for word in words):
        return
    measured = design.target_at(design.measured())
    if len(measured) and 1.5 < float(measured.max()) <= 100 and float(measured.min()) >= 0:
        yield Finding(
            "share_in_percent",
            f"{design.target} goes up to {short(float(measured.max()))}: it is in percent; laws with "
            "a ceiling of 1 and counts of successes need a share: divide by 100",
        )


def constant_ratio(design: Design) -> Iterator[Finding]:
    """Tokens that are a fixed multiple of parameters: the two exponents are not separate."""
    both = _size_and_length(design)
    if both is None or spread(both[0]) < 2:
        return
    ratio = both[1] / both[0]
    if spread(ratio) < 1.2:
        size = short(float(both[0].min()))
        yield Finding(
            "constant_ratio",
            f"every run has about {short(float(np.median(ratio)))} tokens for each parameter, so "
            "what size does and what data do cannot be told apart; only their sum along this line "
            f"is known; train the smallest size ({size}) four and sixteen times longer as well",
        )


def rises_together(design: Design) -> Iterator[Finding]:
    """A law of one of size and length, over runs in which the other one rises along."""
    pairs = [
        (design.size(), design.length(), "longer"),
        (design.length(), design.size(), "larger"),
    ]
    for known, hidden, more in pairs:
        if known is None or hidden is None or not design.uses(known) or design.uses(hidden):
            continue
        logs = np.log([design.numbers(known), design.numbers(hidden)])
        reach = np.ptp(logs, axis=1)
        if len(design) < 3 or min(reach) < math.log(2):
            continue
        together = float(np.corrcoef(logs)[0, 1])
        if together > 0.98:
            slope = float(np.polyfit(logs[0], logs[1], 1)[0])
            yield Finding(
                "rises_together",
                f"runs with more {known} are {more} too ({hidden} rises as {known}^{slope:.2f}), "
                "and the law does not know it: its exponent is that of both together; hold "
                f"{hidden} fixed, or fit a law of both",
            )


def _slip(factor: float) -> str | None:
    """Which unit explains a factor of flops, if one does."""
    if 1 / SLIP < factor * PF_DAYS < SLIP:
        return "they seem to be in petaflop/s-days"
    for unit, words in PREFIXES.items():
        if 1 / SLIP < factor / unit < SLIP:
            return f"params or tokens seem to be in {words}"
        if 1 / SLIP < factor * unit < SLIP:
            return f"they seem to be in {words}"
    for unit in (1e15, 1e18):
        if 1 / SLIP < factor / unit < SLIP:
            return "params and tokens seem to be in millions or billions both"
        if 1 / SLIP < factor * unit < SLIP:
            return f"they seem to be in units of {unit:.0e}"
    return None


def _size_and_length(
    design: Design,
) -> tuple[Float[np.ndarray, " run"], Float[np.ndarray, " run"]] | None:
    """Parameters and tokens, where the fit uses both."""
    names = next((pair for pair in (("params", "tokens"), ("N", "D")) if _has(design, pair)), None)
    if names is None or len(design) == 0:
        return None
    size, length = (design.numbers(design.inputs[name]) for name in names)
    if not bool(((size > 0) & (length > 0)).all()):
        return None
    return size, length


def _has(design: Design, names: tuple[str, str]) -> bool:
    return all(name in design.inputs for name in names)


def _of_language(design: Design) -> str | None:
    """The input that says the runs are of a model of tokens."""
    return next((name for name in ("tokens", "D", "unique_tokens") if name in design.inputs), None)


def _is_loss(column: str) -> bool:
    return any(word in column.lower() for word in LOSSES)
