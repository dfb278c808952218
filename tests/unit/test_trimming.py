import pytest
import torch

from tests.trials import gcd_trial, square_trial
from trainers.batches import NumberBatch, TokenBatch, training_batch
from trainers.config import TrialConfig
from trainers.data.encoding import PAD
from trainers.engine.pack import Pack, Start
from trainers.engine.step import gradient_of
from trainers.engine.trimming import trimmed
from trainers.losses import training_loss
from trainers.models.stack import Layout

CPU = torch.device("cpu")
LONG = {"task": {"kind": "gcd", "largest": 10**6}, "encoding": {"kind": "digits", "base": 2}}
POSITIONS = ("learned", "rope", "alibi", "relative_key", "relative_key_query", "abacus")


def transformer(encoder: int, decoder: int, position: str = "learned") -> dict[str, object]:
    return {
        "kind": "transformer",
        "encoder_layers": encoder,
        "decoder_layers": decoder,
        "width": 16,
        "heads": 2,
        "position": {"kind": position},
    }


def tokens_of(configs: list[TrialConfig]) -> TokenBatch:
    made = training_batch(configs, [0] * len(configs), 1, CPU)
    assert isinstance(made, TokenBatch)
    return made


def trials(number: int, **changes: object) -> list[TrialConfig]:
    return [gcd_trial(**{**LONG, **changes}, seed=seed) for seed in range(number)]


def test_only_padding_is_cut_and_every_trial_is_in_one_stack():
    configs = trials(12)
    made = tokens_of(configs)
    stacks = trimmed(configs[0].model, made)
    assert len(stacks) > 1
    assert sorted(row for stack in stacks for row in stack.rows) == list(range(12))
    for stack in stacks:
        assert isinstance(stack.batch, TokenBatch)
        for mine, whole in (
            (stack.batch.question, made.question[stack.rows]),
            (stack.batch.answer, made.answer[stack.rows]),
        ):
            assert mine.shape[-1] <= whole.shape[-1]
            assert torch.equal(mine, whole[..., : mine.shape[-1]])
            assert bool((whole[..., mine.shape[-1] :] == PAD).all())
    cut = sum(stack.batch.answer.numel() for stack in stacks if isinstance(stack.batch, TokenBatch))
    assert cut < 0.6 * made.answer.numel()


def test_the_lengths_of_a_trial_do_not_depend_on_its_pack():
    configs = trials(8)
    made = tokens_of(configs)
    packed = {
        row: stack.batch.part(0, 1)
        for stack in trimmed(configs[0].model, made)
        for row in stack.rows
        if isinstance(stack.batch, TokenBatch)
    }
    for row, config in enumerate(configs):
        (alone,) = trimmed(config.model, tokens_of([config]))
        assert isinstance(alone.batch, TokenBatch)
        assert alone.batch.question.shape[-1] == packed[row].question.shape[-1]
        assert alone.batch.answer.shape[-1] == packed[row].answer.shape[-1]


@pytest.mark.parametrize("position", POSITIONS)
@pytest.mark.parametrize(("encoder", "decoder"), [(1, 1), (0, 2)])
def test_loss_and_gradient_are_those_of_the_whole_batch(position: str, encoder: int, decoder: int):
    configs = trials(3, model=transformer(encoder, decoder, position))
    made = tokens_of(configs)
    layout = Layout(configs[0].parameters())
    flat = layout.start([config.seed for config in configs])
    loss, gradient = gradient_of(configs[0], layout, flat, made)
    whole = flat.detach().requires_grad_()
    wanted = training_loss(configs[0], layout.views(whole), made)
    (slope,) = torch.autograd.grad(wanted.sum(), whole)
    assert torch.allclose(loss, wanted, rtol=1e-5)
    assert torch.allclose(gradient, slope, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("model", [transformer(1, 1), transformer(0, 2, "rope")])
def test_trials_of_unlike_lengths_have_the_same_bits_alone_and_in_a_pack(model: dict[str, object]):
    configs = trials(8, model=model)
    steps = 5
    weights = {}
    for rows in (list(range(8)), [2, 3, 4, 5], *([row] for row in range(8))):
        some = [configs[row] for row in rows]
        pack = Pack.of([Start(config) for config in some], CPU)
        made = training_batch(some, [0] * len(some), steps, CPU)
        for step in range(steps):
            pack.step(made.part(step * 8, (step + 1) * 8))
        weights[tuple(rows)] = pack.flat
    for row in range(8):
        assert torch.equal(weights[(row,)][0], weights[tuple(range(8))][row])
    assert torch.equal(weights[2, 3, 4, 5], weights[tuple(range(8))][2:6])


@pytest.mark.parametrize(
    "config",
    [
        gcd_trial(**LONG, model=transformer(2, 0)),
        gcd_trial(**LONG, model=transformer(1, 1, "randomised")),
        gcd_trial(**LONG, model={"kind": "recurrent", "width": 8}),
        square_trial(),
    ],
    ids=["slots see one another", "places are drawn for every slot", "recurrent", "numbers"],
)
def test_where_columns_count_nothing_is_cut(config: TrialConfig):
    made = training_batch([config, config], [0, 0], 1, CPU)
    (stack,) = trimmed(config.model, made)
    assert stack.rows == [0, 1]
    assert stack.batch is made
    assert isinstance(made, TokenBatch | NumberBatch)


def test_auxiliary_targets_are_cut_with_the_answers():
    configs = trials(1)
    made = tokens_of(configs)
    targets = torch.where(made.answer == PAD, torch.nan, 1.0)
    (stack,) = trimmed(configs[0].model, TokenBatch(made.question, made.answer, targets))
    assert isinstance(stack.batch, TokenBatch)
    assert stack.batch.auxiliary is not None
    assert stack.batch.auxiliary.shape == stack.batch.answer.shape
