"""Infinitely wide two-layer networks trained on the k basis vectors, and how many must be averaged.

The network is f(x) = width^-1/2 sum_j v_j relu(k^-1/2 w_j . x) with standard normal weights. Trained to the
end on e_i -> e_(i') it is a Gaussian process of mean A Y and covariance K - A K' - K' A + A K' A with
A = T(x, X) T(X, X)^-1, where K is the kernel of the untrained network and T its tangent kernel. All
inputs have length one, and a bit of the answer is 1 where the mean of the ensemble is positive.
Source: Jacot, Gabriel and Hongler 2018, arXiv:1806.07572; Lee et al. 2019, arXiv:1902.06720 (the
process); Giapitzakis, Back de Luca and Fountoulakis 2025, arXiv:2502.16763 (rounding, ensembles).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from trainers.data.draws import ENSEMBLE, Draws

LARGEST_EXHAUSTIVE = 10
"""Bits up to which all inputs are looked at together: their covariance has 4^bits entries."""

_ENSEMBLES = 1_000  # that are drawn to see how far the worst of all inputs is off


@dataclass(frozen=True)
class Kernels:
    """Kernels between unit vectors, times k: of the untrained network, and its tangent kernel."""

    untrained: Float[Tensor, "*pairs"]
    tangent: Float[Tensor, "*pairs"]


@dataclass(frozen=True)
class Member:
    """One trained network on the inputs with 1, 2, ..., k ones: means of its outputs, their deviation.

    `one` is the mean where the answer has a 1, `zero` where it has a 0; all outputs deviate alike,
    and independently of each other.
    """

    one: Float[Tensor, " weight"]
    zero: Float[Tensor, " weight"]
    deviation: Float[Tensor, " weight"]


def kernels(cosine: Float[Tensor, "*pairs"]) -> Kernels:
    """Kernels of the network, times k, from the cosine of the angle between two unit inputs.

    Source: Cho and Saul 2009, Kernel methods for deep learning, equations 6 and 7 (degrees 1 and 0).
    """
    cosine = cosine.clamp(-1.0, 1.0)
    rest = math.pi - cosine.acos()
    untrained = ((1 - cosine.square()).sqrt() + rest * cosine) / (2 * math.pi)
    return Kernels(untrained, untrained + cosine * rest / (2 * math.pi))


def member(bits: int) -> Member:
    """The process on inputs of every weight, from k + 1 numbers: all bits are alike."""
    ones = torch.arange(1, bits + 1, dtype=torch.float64)
    has, lacks = kernels(ones**-0.5), kernels(torch.zeros(1, dtype=torch.float64))
    # T(X, X) = d I + c 11', whose inverse is (I - c / (d + k c) 11') / d
    same = kernels(torch.ones(1, dtype=torch.float64))
    across = float(lacks.tangent)
    own = float(same.tangent) - across
    total = ones * has.tangent + (bits - ones) * lacks.tangent
    common = across / (own + bits * across) * total
    one, zero = (has.tangent - common) / own, (lacks.tangent - common) / own
    squares, sums = ones * one**2 + (bits - ones) * zero**2, ones * one + (bits - ones) * zero
    cross = ones * one * has.untrained + (bits - ones) * zero * lacks.untrained
    apart = float(same.untrained) - float(lacks.untrained)
    variance = same.untrained - 2 * cross + apart * squares + lacks.untrained * sums**2
    return Member(one, zero, (variance / bits).clamp(min=0.0).sqrt())


def shares(bits: int) -> Float[Tensor, " weight"]:
    """How many of the nonzero inputs have 1, 2, ..., k ones, as a share of all."""
    counts = [math.comb(bits, ones) for ones in range(1, bits + 1)]
    return torch.tensor(counts, dtype=torch.float64) / (2**bits - 1)


def member_loss(bits: int) -> float:
    """Mean squared error of one network over all nonzero inputs of unit length, and all outputs."""
    each = member(bits)
    ones = torch.arange(1, bits + 1, dtype=torch.float64)
    wrong = ones * (each.one - ones**-0.5).square() + (bits - ones) * each.zero.square()
    return float((shares(bits) * (wrong / bits + each.deviation.square())).sum())


def exactness(bits: int, members: int) -> Float[Tensor, " weight"]:
    """Probability that an ensemble gets all bits of one input right, for inputs of every weight.

    Basis vectors were trained on: every member answers them with 1 and 0 exactly.
    """
    each = member(bits)
    ones = torch.arange(1, bits + 1, dtype=torch.float64)
    scale = math.sqrt(members) / each.deviation.clamp(min=1e-12)
    right = torch.special.log_ndtr(scale * each.one) * ones
    right += torch.special.log_ndtr(-scale * each.zero) * (bits - ones)
    return right.where(ones > 1, 0.0).exp()


def smallest_for_one(bits: int, confidence: float) -> int:
    """Members with which even the hardest single input is exact with this probability."""
    return _smallest(lambda members: float(exactness(bits, members).min()) >= confidence)


def smallest_for_typical(bits: int, confidence: float) -> int:
    """Members with which a random nonzero input is exact with this probability."""
    weights = shares(bits)
    return _smallest(lambda members: float(weights @ exactness(bits, members)) >= confidence)


def smallest_for_all(bits: int, confidence: float, seed: int) -> int:
    """Members with which all 2^k - 1 inputs are exact together with this probability.

    The mean of N members deviates from its limit by a process g over sqrt(N), the same g for every N,
    and is exact as soon as sqrt(N) exceeds the largest -sign(mean) g / |mean| of all inputs and
    outputs: so a quantile of that over ensembles drawn with the seed is the answer.

    Raises:
        ValueError: there are more bits than LARGEST_EXHAUSTIVE.

    """
    if bits > LARGEST_EXHAUSTIVE:
        raise ValueError(f"expected up to {LARGEST_EXHAUSTIVE} bits, got {bits}")
    inputs = nonzero(bits)
    ones = inputs.sum(dim=-1)
    inputs = inputs[ones > 1]  # the basis vectors are exact after training
    each, ones = member(bits), inputs.sum(dim=-1)
    mean = torch.where(inputs, each.one[ones - 1, None], each.zero[ones - 1, None])
    root = _root(covariance(inputs))
    worst = torch.full((_ENSEMBLES,), -math.inf, dtype=torch.float64)
    for bit in range(bits):
        index = torch.arange(_ENSEMBLES) * bits + bit
        drawn = _normal(Draws(torch.tensor(seed), index, ENSEMBLE), len(inputs)) @ root.mT
        worst = worst.maximum((-drawn / mean[:, bit]).amax(dim=-1))
    least = float(torch.quantile(worst.clamp(min=0.0), confidence, interpolation="higher"))
    return max(1, math.floor(least**2) + 1)


def nonzero(bits: int) -> Bool[Tensor, "input bit"]:
    """All nonzero inputs, as rows of bits."""
    numbers = torch.arange(1, 2**bits)
    return (numbers[:, None] >> torch.arange(bits)) % 2 == 1


def covariance(inputs: Bool[Tensor, "input bit"]) -> Float[Tensor, "input input"]:
    """Of one output of a trained network at some inputs, scaled to unit length."""
    bits = inputs.shape[-1]
    unit = inputs.to(torch.float64)
    unit = unit / unit.norm(dim=-1, keepdim=True)
    basis = kernels(torch.eye(bits, dtype=torch.float64))
    known = kernels(unit)  # the cosine with a basis vector is an entry
    taught = torch.linalg.solve(basis.tangent, known.tangent.mT).mT
    mixed = taught @ known.untrained.mT
    own = kernels(unit @ unit.mT).untrained
    return (own - mixed - mixed.mT + taught @ basis.untrained @ taught.mT) / bits


def _root(matrix: Float[Tensor, "n n"]) -> Float[Tensor, "n n"]:
    """A root R with R R' = matrix, though rounding may make an eigenvalue negative."""
    values, vectors = torch.linalg.eigh(matrix)
    return vectors * values.clamp(min=0.0).sqrt()


def _normal(draws: Draws, count: int) -> Float[Tensor, "row count"]:
    bits = draws.integer_rows(count, 0, (1 << 53) - 1)
    return torch.special.ndtri(bits.to(torch.float64) * 2.0**-53 + 2.0**-54)


def _smallest(is_enough: Callable[[int], bool]) -> int:
    high = 1
    while not is_enough(high):
        high *= 2
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if is_enough(middle) else (middle, high)
    return high
