"""Intervals of shares, and of differences of shares, that hold for a handful of trials."""

import math
from dataclasses import dataclass

from scipy import special

LEVEL = 0.95


@dataclass(frozen=True)
class PairedCounts:
    """How often both of a pair passed, only the first, only the second, and neither."""

    both: int
    first: int
    second: int
    neither: int

    @property
    def pairs(self) -> int:
        """How many there are."""
        return self.both + self.first + self.second + self.neither

    @property
    def difference(self) -> float:
        """The share of the second less that of the first."""
        return (self.second - self.first) / self.pairs


def exact(passed: int, trials: int, level: float = LEVEL) -> tuple[float, float]:
    """The exact binomial interval of a share; no share has less than `level` coverage.

    Source: Clopper and Pearson 1934, Biometrika 26, 404, as quantiles of beta distributions.

    Raises:
        ValueError: there are no trials, or more passed than there are.
    """
    _check(passed, trials)
    tail = (1 - level) / 2
    failed = trials - passed
    low = 0.0 if passed == 0 else float(special.betaincinv(passed, failed + 1, tail))
    high = 1.0 if failed == 0 else float(special.betaincinv(passed + 1, failed, 1 - tail))
    return low, high


def wilson(passed: int, trials: int, level: float = LEVEL) -> tuple[float, float]:
    """The score interval of a share.

    Source: Wilson 1927, Journal of the American Statistical Association 22, 209.

    Raises:
        ValueError: there are no trials, or more passed than there are.
    """
    _check(passed, trials)
    z2 = float(special.ndtri((1 + level) / 2)) ** 2
    middle = (passed + z2 / 2) / (trials + z2)
    half = math.sqrt(z2 * (passed * (trials - passed) / trials + z2 / 4)) / (trials + z2)
    return max(0.0, middle - half), min(1.0, middle + half)


def unpaired_difference(
    first: tuple[int, int], second: tuple[int, int], level: float = LEVEL
) -> tuple[float, float]:
    """The interval of the second share less the first; each is (passed, trials).

    Source: Newcombe 1998, Statistics in Medicine 17, 873, method 10.
    """
    return _combined(first, second, 0.0, level)


def paired_difference(counts: PairedCounts, level: float = LEVEL) -> tuple[float, float]:
    """The interval of the second share less the first, where the same pairs gave both.

    Source: Newcombe 1998, Statistics in Medicine 17, 2635, method 10.
    """
    pairs = counts.pairs
    first, second = counts.both + counts.first, counts.both + counts.second
    spread = first * (pairs - first) * second * (pairs - second)
    cross = counts.both * counts.neither - counts.first * counts.second
    # a positive correlation is taken half a trial smaller than it looks
    cross = max(cross - pairs / 2, 0) if cross > 0 else cross
    correlation = cross / math.sqrt(spread) if spread else 0.0
    return _combined((first, pairs), (second, pairs), correlation, level)


def _combined(
    first: tuple[int, int], second: tuple[int, int], correlation: float, level: float
) -> tuple[float, float]:
    """The score intervals of two shares as one of their difference."""
    share_1, share_2 = first[0] / first[1], second[0] / second[1]
    low_1, high_1 = wilson(*first, level)
    low_2, high_2 = wilson(*second, level)
    down = _length(share_2 - low_2, high_1 - share_1, correlation)
    up = _length(high_2 - share_2, share_1 - low_1, correlation)
    return share_2 - share_1 - down, share_2 - share_1 + up


def _length(one: float, other: float, correlation: float) -> float:
    return math.sqrt(max(0.0, one**2 - 2 * correlation * one * other + other**2))


def _check(passed: int, trials: int) -> None:
    if not 0 <= passed <= trials or trials == 0:
        raise ValueError(f"expected some trials, and at most as many passed; got {passed}/{trials}")
