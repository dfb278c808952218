"""Irreducible representations of finite groups, against orthogonality and planted logits."""

import math
from itertools import permutations

import pytest
import torch

from trainers.config import trial_config
from trainers.data.material.groups import group
from trainers.data.material.irreps import complex_characters, irreps, learned, logit_shares
from trainers.engine.pack import Start
from trainers.loop import train
from trainers.result import Ended

NAMES = ["C2", "C7", "C29", "D3", "D6", "D7", "S3", "S4", "S5", "A4", "A5", "C3xS3", "C2xC2"]


@pytest.mark.parametrize("name", NAMES)
def test_characters_are_orthonormal_and_the_squares_of_dimensions_add_up_to_the_order(
    name: str,
) -> None:
    table = group(name).table
    characters = complex_characters(table)
    order = len(table)
    products = characters @ characters.conj().T / order
    torch.testing.assert_close(products, torch.eye(len(characters), dtype=products.dtype))
    dimensions = characters[:, 0].real
    assert float(dimensions.square().sum()) == pytest.approx(order)
    conjugacy = characters[:, table.flatten()] - characters[:, table.T.flatten()]  # ab and ba
    assert float(conjugacy.abs().max()) < 1e-9


@pytest.mark.parametrize("name", NAMES)
def test_real_representations_have_names_of_their_own_and_the_trivial_one_is_first(
    name: str,
) -> None:
    known = irreps(name)
    assert len(set(known.names)) == len(known.names)
    assert bool((known.characters[0] - 1).abs().max() < 1e-9)
    products = known.characters @ known.characters.T
    assert float((products - products.diagonal().diag()).abs().max()) < 1e-6


def test_the_standard_representation_of_a_symmetric_group_counts_fixed_points_less_one() -> None:
    for n in (3, 4, 5):
        known = irreps(f"S{n}")
        fixed = [sum(p[i] == i for i in range(n)) - 1 for p in permutations(range(n))]
        wanted = torch.tensor(fixed, dtype=torch.float64)
        row = known.names.index(f"{n - 1}({n - 3})" if n > 3 else "2(0)")
        torch.testing.assert_close(known.characters[row], wanted, atol=1e-9, rtol=0)
        assert known.dimensions[row] == n - 1


def test_frequencies_of_cyclic_and_dihedral_groups_are_cosines() -> None:
    turns = torch.arange(29, dtype=torch.float64)
    for name, size in (("C29", 29), ("D29", 58)):
        known = irreps(name)
        wanted = 2 * (2 * math.pi * 5 * turns / 29).cos()
        found = known.characters[known.names.index("frequency 5")]
        torch.testing.assert_close(found[:29], wanted, atol=1e-6, rtol=0)
        assert size == 29 or float(found[29:].abs().max()) < 1e-6


@pytest.mark.parametrize("name", ["S4", "D7", "C29", "A5"])
def test_logits_made_of_characters_are_taken_apart_again(name: str) -> None:
    known, table = irreps(name), group(name).table
    order = len(table)
    inverse = (table == 0).int().argmax(dim=1)
    # the character of a b c^-1 for every a, b and c
    composed = table[table][:, :, inverse]
    one, two = known.names[-1], known.names[-2]
    logits = 3 * known.characters[-1][composed] + known.characters[-2][composed] + 7.0
    shares = logit_shares(name, logits)
    assert sum(shares.values()) == pytest.approx(1)
    first, second = (float(known.characters[n].square().mean()) for n in (-1, -2))
    assert shares[one] == pytest.approx(9 * first / (9 * first + second))
    assert learned(shares) == [one, two]
    noise = torch.randn(order, order, order, generator=torch.Generator().manual_seed(1))
    assert sum(logit_shares(name, noise).values()) < 0.01


def test_a_trial_says_which_representations_it_found() -> None:
    fields = {
        "task": {"kind": "group", "group": "C5", "train_share": 0.8},
        "encoding": {"kind": "characters"},
        "data": {"distinct": 20, "order": "cycle"},
        "model": {"kind": "classifier", "embed": 16, "width": 64},
        "optimizer": {"kind": "adamw", "lr": 1e-2, "weight_decay": 1.0},
        "batch_size": 20,
        "budget": {"steps": 400},
        "evaluation": {"points": 1, "examples": 5},
    }
    for event in train([Start(trial_config(fields))]):
        if isinstance(event, Ended):
            metrics, details = event.outcome.metrics, event.outcome.details
            assert 0.1 < metrics["logits_explained"] <= 1 + 1e-9  # chance: 2 of 100
            assert metrics["irreps_found"] == len(details["irreps"])
            assert set(details["irreps"]) <= {"frequency 1", "frequency 2"}
