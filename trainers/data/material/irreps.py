"""Irreducible representations of finite groups by their characters, and which of them logits are made of.

Characters come from the multiplication table alone: the sums over conjugacy classes commute, and what
they have in common as eigenvectors are the central characters. A pair of complex conjugate
representations counts as one real one, since networks are real.
Source: Burnside's algorithm, as in Dixon 1967, doi:10.1007/BF02162877; the decomposition of logits:
Chughtai, Chan and Nanda 2023, arXiv:2302.03025.
"""

import math
from dataclasses import dataclass
from functools import lru_cache

import torch
from jaxtyping import Complex, Float, Int
from torch import Tensor

from trainers.data.material.groups import group

LARGEST_LOGITS = 130
"""Elements up to which the logits of all products are looked at: they are the third power of it."""

_FOUND = 0.05  # share of the logits from which a representation counts as found


@dataclass(frozen=True)
class Irreps:
    """The real irreducible representations of a group, the trivial one first."""

    names: tuple[str, ...]
    dimensions: tuple[int, ...]  # of the complex representations
    characters: Float[Tensor, "irrep element"]  # of a complex pair: the sum of both


@lru_cache(maxsize=16)
def irreps(name: str) -> Irreps:
    """The representations of a named group, by rising dimension.

    One of dimension d is called `2(-1,0)` after d and its character on the standard generators, to two
    decimals, `3(1)` where it is the same on all; one of C_n and a two-dimensional one of D_n after its
    frequency, `frequency 3`. Those that this does not tell apart are numbered.
    """
    known = group(name)
    complex_ones = complex_characters(known.table)
    real: dict[tuple[float, ...], tuple[int, Tensor]] = {}
    for row in complex_ones:
        paired = bool((row.imag.abs() > 1e-6).any())
        character = 2 * row.real if paired else row.real
        real[tuple(character.round(decimals=6).tolist())] = round(float(row[0].real)), character
    found = sorted(real.values(), key=_order)
    cyclic = name[0] in "CD" and "x" not in name
    names = [_named(one, known.order, known.generators, cyclic) for one in found]
    return Irreps(
        names=tuple(
            one if names.count(one) == 1 else f"{one} no. {names[:n].count(one) + 1}"
            for n, one in enumerate(names)
        ),
        dimensions=tuple(dimension for dimension, _ in found),
        characters=torch.stack([character for _, character in found]),
    )


def complex_characters(table: Int[Tensor, "order order"]) -> Complex[Tensor, "irrep element"]:
    """The character table of a group, each character as a function of the element."""
    order = table.shape[0]
    inverse = (table == 0).int().argmax(dim=1)
    conjugates = table[table, inverse[:, None]]  # [x, g]: x g x^-1
    least = conjugates.amin(dim=0)
    representatives, of = least.unique(return_inverse=True)
    classes = len(representatives)
    sizes = torch.bincount(of, minlength=classes).double()
    # a sum over classes i of class sums with weights: one matrix that has all common eigenvectors
    weights = (torch.arange(1, classes + 1).double() * math.sqrt(2)).sin()
    mixed = torch.zeros(classes, classes, dtype=torch.float64)
    for column, element in enumerate(representatives.tolist()):
        rest = of[table[inverse, element]]  # class of x^-1 z
        mixed[:, column] = torch.zeros(classes, dtype=torch.float64).index_add(0, rest, weights[of])
    _, vectors = torch.linalg.eig(mixed)
    central = vectors.T / vectors.T[:, of[0], None]  # 1 at the identity
    squared = order / (central.abs().square() / sizes).sum(dim=1)
    characters = central * squared.sqrt().round()[:, None] / sizes
    return characters[:, of]


def logit_shares(name: str, logits: Float[Tensor, "left right answer"]) -> dict[str, float]:
    """Share of the variance of logits over answers that the character of each representation explains.

    A network that composes by representations has logits that are a sum of characters of a b c^-1.
    These are orthogonal, so the shares add up to what all of them explain; the trivial one, which
    is equal for all answers, is left out.
    """
    known, table = irreps(name), group(name).table
    inverse = (table == 0).int().argmax(dim=1)
    centred = logits.double() - logits.double().mean(dim=-1, keepdim=True)
    order = len(table)
    sums = torch.zeros(order, dtype=torch.float64)
    for answer in range(order):
        sums.index_add_(
            0, table[:, inverse[answer]][table].flatten(), centred[..., answer].flatten()
        )
    total = centred.square().sum()
    norms = order**2 * known.characters.square().sum(dim=1)
    shares = (known.characters @ sums).square() / (norms * total)
    return dict(zip(known.names[1:], shares[1:].tolist(), strict=True))


def learned(shares: dict[str, float]) -> list[str]:
    """The representations that explain at least a twentieth of the logits, the largest share first."""
    ordered = sorted(shares, key=lambda one: -shares[one])
    return [one for one in ordered if shares[one] >= _FOUND]


def _named(one: tuple[int, Tensor], order: int, generators: tuple[int, ...], cyclic: bool) -> str:
    dimension, character = one
    values = [float(character[element]) for element in generators]
    turns = order if len(generators) == 1 else order // 2
    if cyclic and round(float(character[0])) == 2:
        angle = math.acos(max(-1.0, min(1.0, values[0] / 2)))
        return f"frequency {round(angle / (2 * math.pi) * turns)}"
    spelled = [f"{round(value, 2) + 0.0:g}" for value in values]
    return f"{dimension}({','.join(spelled if len(set(spelled)) > 1 else spelled[:1])})"


def _order(one: tuple[int, Tensor]) -> tuple[float, ...]:
    """The trivial one first, then by dimension, then by the character."""
    dimension, character = one
    is_trivial = bool((character - 1).abs().max() < 1e-6)
    return (not is_trivial, dimension, *(0.0 - character).round(decimals=6).tolist())
