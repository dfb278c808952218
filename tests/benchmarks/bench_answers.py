"""Exact match from one forward pass against answers that are generated token by token."""

from collections.abc import Iterator

import torch

from tests.benchmarks.peers import Plain
from tests.benchmarks.shapes import Shape, token_shape, trial
from tests.benchmarks.turns import Line, compare
from trainers.batches import TokenBatch, held_out_batch
from trainers.engine.pack import Pack, Start
from trainers.evaluate import report_metrics
from trainers.models.model import TokenModel

CPU = torch.device("cpu")


def exact_match_line(base: int, encoder: int, *, cached: bool) -> Line:
    """1,000 test examples at width 64; both sides make them."""
    config = trial(Shape(encoder, 1, 64, 8, base=base))
    model, shape = config.model, token_shape(config)
    assert isinstance(model, TokenModel)
    pack = Pack.of([Start(config)], CPU)
    weights = pack.layout.views(pack.flat)
    plain = Plain(shape, 64, 4, 1)

    @torch.no_grad()
    def forced() -> None:
        report_metrics(weights, [config], CPU, 1_000)

    @torch.no_grad()
    def greedy() -> None:
        batch = held_out_batch([config], 0, 1_000, CPU, config.task)
        assert isinstance(batch, TokenBatch)
        length = batch.answer.shape[-1]
        if cached:
            given = model.generate(weights, batch.question, length)[0]
        else:
            given = plain.greedy(batch.question[0], length)
        (given == batch.answer[0]).all(dim=-1).double().mean().item()

    side = "encoder-decoder" if encoder else "decoder-only"
    against = "greedy with our cache" if cached else "greedy"
    name = f"exact match / {against}, {side}, base {base}"
    return compare(name, "examples/s", 1_000, forced, greedy)


def lines() -> Iterator[Line]:
    """Long answers and short ones."""
    for base in (2, 10):
        for cached in (False, True):
            yield exact_match_line(base, 0, cached=cached)
    yield exact_match_line(10, 1, cached=True)
