"""What every position encoding promises, and the property that each one claims."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from trainers.data.shape import TokenShape
from trainers.models import positions
from trainers.models.position import Position
from trainers.models.positions.learned import Learned
from trainers.models.positions.none import NoPosition
from trainers.models.positions.rope import Rope
from trainers.models.stack import Layout, Weights
from trainers.models.transformer import Transformer
from trainers.plugins import kinds, summary

KINDS = kinds(positions, Position)
SHAPE = TokenShape(vocabulary=15, question=10, answer=6)


def noise(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def weights_of(position: Position, length: int, width: int) -> Weights:
    layout = Layout(position.parameters("side", length, width))
    return layout.views(layout.start([1, 2]))


@pytest.mark.parametrize("name", KINDS)
def test_a_position_says_what_it_does_and_where_it_comes_from(name: str) -> None:
    line, source = summary(KINDS[name])
    assert line.endswith(".")
    assert "arXiv:" in source or "doi:" in source


@pytest.mark.parametrize("name", KINDS)
def test_what_a_place_gets_does_not_depend_on_the_other_places(name: str) -> None:
    position = KINDS[name]()
    weights = weights_of(position, 9, 8)
    at = torch.tensor([[0, 3, 8, 3]])
    x = noise(1, 2, 4, 8)
    turned = position.rotate(x, at)
    added = position.embed(weights, "side", at.expand(2, 1, 4))
    for place in range(4):
        alone = position.rotate(x[:, :, place : place + 1], at[:, place : place + 1])
        torch.testing.assert_close(turned[:, :, place : place + 1], alone)
        if added is not None:
            here = at[:, place : place + 1].expand(2, 1, 1)
            single = position.embed(weights, "side", here)
            assert single is not None
            assert torch.equal(added[:, :, place : place + 1], single)


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("encoder_layers", [0, 1])
def test_no_table_is_longer_than_the_sequence(name: str, encoder_layers: int) -> None:
    model = Transformer.model_validate(
        {"encoder_layers": encoder_layers, "width": 16, "heads": 2, "position": {"kind": name}}
    )
    tables = {
        parameter.name: parameter.shape[0]
        for parameter in model.parameters(SHAPE)
        if parameter.name.startswith(("encoder.place", "decoder.place"))
    }
    longest = {"encoder.place": 10, "decoder.place": 6 if encoder_layers else 16}
    assert all(entries <= longest[table] for table, entries in tables.items())


def test_learned_places_are_the_rows_of_one_table_of_each_trial() -> None:
    (table,) = Learned().parameters("side", 7, 4)
    assert table.shape == (7, 4)
    weights = weights_of(Learned(), 7, 4)
    at = torch.tensor([[[0, 6, 2]], [[5, 5, 1]]])
    added = Learned().embed(weights, "side", at)
    for trial in range(2):
        assert torch.equal(added[trial, 0], weights["side.place"][trial][at[trial, 0]])


@settings(max_examples=50)
@given(
    query=st.integers(0, 5_000),
    key=st.integers(0, 5_000),
    shift=st.integers(0, 5_000),
    half=st.integers(1, 8),
)
def test_rope_scores_depend_on_the_distance_alone(
    query: int, key: int, shift: int, half: int
) -> None:
    x, y = (noise(1, 1, 1, 2 * half, seed=seed, dtype=torch.float64) for seed in (1, 2))

    def score(query_at: int, key_at: int) -> Tensor:
        turned = Rope().rotate(x, torch.tensor([[query_at]]))
        return (turned * Rope().rotate(y, torch.tensor([[key_at]]))).sum()

    torch.testing.assert_close(score(query, key), score(query + shift, key + shift))


def test_rope_scores_do_depend_on_the_distance() -> None:
    x = noise(1, 1, 2, 8)
    turned = Rope().rotate(x[:, :, :1].expand(1, 1, 2, 8), torch.tensor([[0, 3]]))
    assert not torch.allclose(turned[:, :, 0], turned[:, :, 1], atol=1e-2)


def test_rope_turns_pairs_of_coordinates_as_complex_numbers() -> None:
    """Su et al. 2021, equation 13 in each plane, with the angles of equation 15."""
    x = noise(1, 2, 5, 12, dtype=torch.float64)
    at = torch.tensor([[0, 1, 2, 40, 900]])
    pairs = torch.complex(x[..., :6], x[..., 6:])
    angle = at[0, :, None].double() / 10_000 ** (torch.arange(6).double() / 6)
    wanted = pairs * torch.polar(torch.ones_like(angle), angle)
    found = Rope().rotate(x, at)
    torch.testing.assert_close(found, torch.cat([wanted.real, wanted.imag], dim=-1))
    assert torch.equal(found[:, :, 0], x[:, :, 0])


def test_no_position_adds_nothing_and_turns_nothing() -> None:
    x = noise(2, 1, 3, 4)
    at = torch.tensor([[0, 1, 2], [2, 1, 0]])
    assert NoPosition().parameters("side", 9, 4) == ()
    assert NoPosition().embed({}, "side", at[:, None]) is None
    assert torch.equal(NoPosition().rotate(x, at), x)


@pytest.mark.parametrize(("kind", "blind"), [("none", True), ("learned", False), ("rope", False)])
def test_only_without_positions_is_an_encoder_blind_to_order(kind: str, blind: bool) -> None:
    model = Transformer.model_validate({"width": 16, "heads": 2, "position": {"kind": kind}})
    layout = Layout(model.parameters(SHAPE))
    weights = layout.views(layout.start([3]))
    question = torch.tensor([[[3, 6, 7, 8, 9, 3, 5, 6, 10, 11]]])
    answer = torch.tensor([[[3, 6, 2, 0, 0, 0]]])
    forward = model.logits(weights, question, answer)
    backward = model.logits(weights, question.flip(-1), answer)
    assert torch.allclose(forward, backward, atol=1e-5) == blind
