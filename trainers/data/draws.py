"""Random numbers as a pure function of (seed, example index, lane): equal on CPU and GPU."""

from functools import cached_property, lru_cache

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

_MASK = (1 << 64) - 1
_GOLDEN = 0x9E3779B97F4A7C15
_MULTIPLIERS = (0xBF58476D1CE4E5B9, 0x94D049BB133111EB)
_SHIFTS = (30, 27, 31)

TRAIN, TEST, CLASSES, ORDER, START, WRONG, PART, TABLE, ENSEMBLE = range(9)
"""Domains: what the numbers are for. No two domains share a stream, of one seed or of several."""

OTHER = 1 << 60
"""Example i + OTHER lends its answer to example i where that one is corrupted."""

_FEW = 1_024  # seeds of a pack; more are one seed for each example
_RUNS = 1 << 62  # indices of runs lie apart from those of examples


def mix(number: int) -> int:
    """Scramble 64 bits; the finalizer of SplitMix64.

    Source: Steele, Lea and Flood 2014, doi:10.1145/2660193.2660195; Stafford's variant 13.
    """
    number &= _MASK
    for shift, multiplier in zip(_SHIFTS, (*_MULTIPLIERS, None), strict=True):
        number ^= number >> shift
        if multiplier is not None:
            number = (number * multiplier) & _MASK
    return number


def mix_tensor(numbers: Int[Tensor, "*batch"]) -> Int[Tensor, "*batch"]:
    """`mix` for every element; an int64 holds the 64 bits, and its product wraps as it must."""
    for shift, multiplier in zip(_SHIFTS, (*_MULTIPLIERS, None), strict=True):
        # torch shifts int64 arithmetically; the mask makes it the logical shift of the definition
        shifted = (numbers >> shift).bitwise_and_((1 << (64 - shift)) - 1)
        numbers = shifted.bitwise_xor_(numbers)  # in place, but never in what was given
        if multiplier is not None:
            numbers.mul_(_signed(multiplier))
    return numbers


class Draws:
    """The random numbers of a batch of examples; every call takes the next lane.

    `seeds` and `index` broadcast against each other, so one object serves all trials of a pack:
    seeds `[trial, 1]`, index `[trial, example]`. Nothing else decides what an example is given.
    """

    def __init__(
        self, seeds: Int[Tensor, "*#batch"], index: Int[Tensor, "*batch"], domain: int
    ) -> None:
        self.index = index
        self.domain = domain
        self._seeds = seeds.reshape([1] * (index.dim() - seeds.dim()) + list(seeds.shape))
        self._lane = 0

    @property
    def device(self) -> torch.device:
        """Where the numbers live."""
        return self.index.device

    @cached_property
    def _place(self) -> Int[Tensor, "*batch"]:
        """The index, spread over 64 bits."""
        return self.index * _signed(_GOLDEN)

    def bits(self) -> Int[Tensor, "*batch"]:
        """64 random bits an example."""
        return self._lanes(1)[0]

    def integers(
        self, low: int | Int[Tensor, "*#batch"], high: int | Int[Tensor, "*#batch"]
    ) -> Int[Tensor, "*batch"]:
        """Uniform integers from low to high, both included; bias below (high - low) / 2^63."""
        return _within(self._lanes(1), low, high)[0]

    def integer_rows(
        self, count: int, low: int | Int[Tensor, "*#batch"], high: int | Int[Tensor, "*#batch"]
    ) -> Int[Tensor, "*batch count"]:
        """`count` calls of `integers` side by side, in less time."""
        return _within(self._lanes(count), low, high).movedim(0, -1)

    def _lanes(self, count: int) -> Int[Tensor, "count *batch"]:
        """The bits of the next `count` lanes."""
        first = self._lane + 1
        self._lane += count
        seeds = self._seeds.flatten()
        if seeds.device.type == "cpu" and len(seeds) <= _FEW:
            keys = _kept_keys(tuple(seeds.tolist()), self.domain, first, count)
        else:
            keys = _keys(seeds, self.domain, first, count)
        key = keys.view(count, *self._seeds.shape)
        # two rounds with the key in both: streams cannot run into each other at an offset
        mixed = mix_tensor(self._place + key)
        return mix_tensor(mixed.bitwise_xor_(key * _signed(_MULTIPLIERS[0])))

    def uniform(self) -> Float[Tensor, "*batch"]:
        """Uniform float64 in [0, 1), a multiple of 2^-53."""
        return ((self.bits() >> 11) & ((1 << 53) - 1)).to(torch.float64) * 2.0**-53

    def normal(self) -> Float[Tensor, "*batch"]:
        """Standard normal float64 by inversion; bits are equal on CPUs only, `ndtri` differs."""
        return torch.special.ndtri(self.uniform() + 2.0**-54)

    def cell(self, cells: int, train_share: float) -> Int[Tensor, "*batch"]:
        """A cell of a finite table, which the seed splits into training cells and held-out ones.

        Training example i is training cell i, and the table begins again after the last one; every
        other domain sees the held-out cells, or all of them where none is held out. An example from
        OTHER on, which only lends its answer, is any training cell.
        """
        train = max(1, min(cells, round(cells * train_share)))
        first, count = (
            (0, train) if self.domain == TRAIN or train == cells else (train, cells - train)
        )
        place = torch.where(self.index < OTHER, self.index % count, self.integers(0, count - 1))
        seeds = self._seeds.broadcast_to(place.shape)
        known = seeds.unique().tolist()
        order = torch.stack([_shuffled(seed, cells) for seed in known]).to(self.device)
        row = torch.searchsorted(torch.tensor(known, device=self.device), seeds.contiguous())
        return order[row, first + place]

    def skip(self, lanes: int) -> None:
        """Leave the next lanes to somebody else."""
        self._lane += lanes

    def by_run(self, length: int) -> "Draws":
        """Draws that are equal for `length` examples in a row, and apart from those of this one."""
        return Draws(self._seeds, (self.index // length) ^ _RUNS, self.domain)

    def some(self, rows: Int[Tensor, " row"]) -> "Draws":
        """The draws of some examples, by their place in the flattened batch, from this lane on."""
        seeds = self._seeds.broadcast_to(self.index.shape)
        part = Draws(seeds.reshape(-1)[rows], self.index.reshape(-1)[rows], self.domain)
        part._lane = self._lane
        return part

    def chance(self, probability: float) -> Bool[Tensor, "*batch"]:
        """True with the given probability."""
        return self.uniform() < probability


def _within(
    bits: Int[Tensor, "count *batch"],
    low: int | Int[Tensor, "*#batch"],
    high: int | Int[Tensor, "*#batch"],
) -> Int[Tensor, "count *batch"]:
    """Bits that are not used again as uniform integers from low to high."""
    return bits.bitwise_and_((1 << 63) - 1).remainder_(high - low + 1).add_(low)


def _keys(
    seeds: Int[Tensor, " seed"], domain: int, first: int, count: int
) -> Int[Tensor, "lane seed"]:
    """64 bits for every seed and each of `count` lanes from `first` on."""
    # seed and domain enter differently, or domain 1 of seed 1 would be domain 0 of seed 2
    stream = mix_tensor(mix_tensor(seeds + _signed(_GOLDEN)) + _signed(mix(domain + 1)))
    lanes = [_signed(mix(lane * _GOLDEN)) for lane in range(first, first + count)]
    return mix_tensor(torch.stack([stream + lane for lane in lanes]))


@lru_cache(maxsize=4_096)
def _kept_keys(
    seeds: tuple[int, ...], domain: int, first: int, count: int
) -> Int[Tensor, "lane seed"]:
    """`_keys` on the CPU, where they take as long as the draws of a small batch."""
    return _keys(torch.tensor(seeds, dtype=torch.int64), domain, first, count)


@lru_cache(maxsize=64)
def _shuffled(seed: int, cells: int) -> Int[Tensor, " cell"]:
    """All cells in the order that a seed gives them, on the CPU."""
    index = torch.arange(cells)
    return Draws(torch.tensor(seed), index, TABLE).bits().argsort(stable=True)


def _signed(number: int) -> int:
    """64 bits as the int64 that torch takes."""
    return number - (1 << 64) if number >> 63 else number
