"""What the trainers gain over what a user would write, side by side in one process on one thread.

Run `python -m tests.benchmarks.bench_trainers`, with `--json` for one JSON document. Both sides of a
line take turns, so that a busy machine slows both; a ratio above 1 means that ours is faster.
"""

import argparse
import itertools
import json
import math
import random
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from tests.trials import gcd_trial
from trainers import machine
from trainers.batches import TokenBatch, held_out_batch, training_batch
from trainers.config import TrialConfig
from trainers.data.encoding import PAD, START
from trainers.data.shape import TokenShape
from trainers.evaluate import report_metrics
from trainers.models.model import TokenModel
from trainers.pack import Pack, Start

CPU = torch.device("cpu")


@dataclass(frozen=True)
class Line:
    """One comparison: units of work a second, and the median ratio of neighbouring turns."""

    name: str
    unit: str
    ours: float
    plain: float
    ratio: float


def compare(
    name: str, unit: str, work: int, ours: Callable[[], object], plain: Callable[[], object]
) -> Line:
    """Take turns for about three seconds; `work` units are done by each call of either side."""
    ours(), plain()  # caches and kernels
    pairs = []
    until = time.perf_counter() + 3
    while time.perf_counter() < until or len(pairs) < 5:
        pairs.append((seconds(ours), seconds(plain)))
    mine, theirs = (statistics.median(column) for column in zip(*pairs, strict=True))
    ratio = statistics.median(theirs / mine for mine, theirs in pairs)
    return Line(name, unit, work / mine, work / theirs, ratio)


def seconds(work: Callable[[], object]) -> float:
    """Processor time of one call, so that a busy machine does not count."""
    started = time.process_time()
    work()
    return time.process_time() - started


# Data, one example after the other


def written(number: int, base: int) -> list[int]:
    """Sign and digits, most significant first."""
    digits = []
    while number:
        number, digit = divmod(number, base)
        digits.append(digit + 5)
    return [3, *reversed(digits)]


def plain_batch(base: int, size: int, rng: random.Random) -> tuple[Tensor, Tensor]:
    """Pairs with their GCD, encoded and collated as in a data set's `__getitem__`."""
    questions, answers = [], []
    for _ in range(size):
        a, b = rng.randint(1, 1_000_000), rng.randint(1, 1_000_000)
        questions.append(torch.tensor(written(a, base) + written(b, base)))
        answers.append(torch.tensor([*written(math.gcd(a, b), base), 2]))
    return (
        pad_sequence(questions, batch_first=True, padding_value=PAD),
        pad_sequence(answers, batch_first=True, padding_value=PAD),
    )


def data_line(base: int) -> Line:
    """Batches of 256, as many at a time as the loop makes ahead, and never the same ones again."""
    trial = gcd_trial(
        task={"kind": "gcd"}, encoding={"kind": "digits", "base": base}, batch_size=256
    )
    rng = random.Random(0)
    steps = 128
    # the same pairs again would be faster: a processor learns the branches of their GCDs
    done = itertools.count(0, steps)
    return compare(
        f"GCD data, base {base}",
        "examples/s",
        256 * steps,
        lambda: training_batch([trial], [next(done)], steps, CPU),
        lambda: [plain_batch(base, 256, rng) for _ in range(steps)],
    )


# Training: the same decoder-only transformer as an ordinary module


class Block(nn.Module):
    """Pre-norm causal self-attention and MLP."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm, self.mlp_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.mlp = nn.Sequential(
            nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width)
        )

    def forward(self, x: Tensor) -> Tensor:
        """The stream after this layer."""
        parts = self.qkv(self.norm(x)).unflatten(-1, (3, self.heads, -1))
        query, key, value = parts.permute(2, 0, 3, 1, 4)
        read = F.scaled_dot_product_attention(query, key, value, is_causal=True)
        x = x + self.out(read.transpose(1, 2).flatten(2))
        return x + self.mlp(self.mlp_norm(x))


class Plain(nn.Module):
    """Logits over the whole sequence, as most training code computes them."""

    def __init__(self, shape: TokenShape, width: int, heads: int, layers: int) -> None:
        super().__init__()
        self.token = nn.Embedding(shape.vocabulary, width)
        self.place = nn.Embedding(shape.tokens, width)
        self.blocks = nn.Sequential(*(Block(width, heads) for _ in range(layers)))
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, shape.vocabulary)

    def forward(self, tokens: Tensor) -> Tensor:
        """Scores of the token at each place."""
        x = self.token(tokens) + self.place.weight[: tokens.shape[1]]
        return self.head(self.norm(self.blocks(x)))

    @torch.no_grad()
    def greedy(self, question: Tensor, length: int) -> Tensor:
        """The answer token by token, the whole sequence anew for each, as nanoGPT's `generate`."""
        tokens = torch.cat([question, torch.full_like(question[:, :1], START)], dim=1)
        for _ in range(length):
            best = self(tokens)[:, -1].argmax(dim=-1, keepdim=True)
            tokens = torch.cat([tokens, best], dim=1)
        return tokens[:, -length:]


class Attention(nn.Module):
    """Pre-norm attention with one map to queries and one to keys and values."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads, self.norm = heads, nn.LayerNorm(width)
        self.query, self.memory = nn.Linear(width, width), nn.Linear(width, 2 * width)
        self.out = nn.Linear(width, width)

    def forward(self, x: Tensor, read: Tensor | None, mask: Tensor | None, causal: bool) -> Tensor:
        """What is added to the stream; `read` is what is attended to, x itself where None."""
        normed = self.norm(x)
        query = self.query(normed).unflatten(-1, (self.heads, -1)).transpose(1, 2)
        memory = self.memory(normed if read is None else read).unflatten(-1, (2, self.heads, -1))
        key, value = memory.permute(2, 0, 3, 1, 4)
        found = F.scaled_dot_product_attention(query, key, value, attn_mask=mask, is_causal=causal)
        return self.out(found.transpose(1, 2).flatten(2))


class EncoderDecoder(nn.Module):
    """The same encoder-decoder as an ordinary module; padding of questions is masked."""

    def __init__(self, shape: TokenShape, width: int, heads: int, layers: int) -> None:
        super().__init__()
        self.token = nn.Embedding(shape.vocabulary, width)
        self.asked = nn.Embedding(shape.question, width)
        self.given = nn.Embedding(shape.answer, width)

        def mlp() -> nn.Module:
            inside = nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width)
            return nn.Sequential(nn.LayerNorm(width), *inside)

        def attentions() -> nn.ModuleList:
            return nn.ModuleList(Attention(width, heads) for _ in range(layers))

        self.reads, self.own, self.crosses = attentions(), attentions(), attentions()
        self.thinks, self.speaks = (nn.ModuleList(mlp() for _ in range(layers)) for _ in range(2))
        self.read_norm, self.norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.head = nn.Linear(width, shape.vocabulary)

    def forward(self, question: Tensor, given: Tensor) -> Tensor:
        """Scores of the token at each place of the answer."""
        mask = (question != PAD)[:, None, None, :]
        x = self.token(question) + self.asked.weight[: question.shape[1]]
        for attend, think in zip(self.reads, self.thinks, strict=True):
            x = x + attend(x, None, mask, False)
            x = x + think(x)
        read = self.read_norm(x)
        y = self.token(given) + self.given.weight[: given.shape[1]]
        for attend, cross, speak in zip(self.own, self.crosses, self.speaks, strict=True):
            y = y + attend(y, None, None, True)
            y = y + cross(y, read, mask, False)
            y = y + speak(y)
        return self.head(self.norm(y))


def gcd_config(encoder: int, decoder: int, width: int, batch: int, seed: int) -> TrialConfig:
    """GCD up to 10^6 in base 10."""
    return gcd_trial(
        task={"kind": "gcd"},
        model={
            "kind": "transformer",
            "encoder_layers": encoder,
            "decoder_layers": decoder,
            "width": width,
            "heads": 4,
        },
        optimizer={"kind": "adamw"},
        batch_size=batch,
        budget={"steps": 1_000_000},
        seed=seed,
    )


def training_line(width: int, layers: int, batch: int, trials: int, *, encodes: bool) -> Line:
    """Steps of `trials` trials, on data made beforehand."""
    configs = [
        gcd_config(layers if encodes else 0, layers, width, batch, seed) for seed in range(trials)
    ]
    shape = configs[0].shape()
    assert isinstance(shape, TokenShape)
    made = training_batch(configs, [0] * trials, 1, CPU)
    assert isinstance(made, TokenBatch)
    pack = Pack.of([Start(config) for config in configs], CPU)
    kind = EncoderDecoder if encodes else Plain
    models = [kind(shape, width, 4, layers) for _ in configs]
    optimizers = [torch.optim.AdamW(model.parameters(), fused=True) for model in models]
    given = torch.cat([torch.full_like(made.answer[..., :1], START), made.answer[..., :-1]], dim=-1)
    tokens = torch.cat([made.question, given], dim=-1)
    wanted = torch.cat([torch.full_like(made.question, PAD), made.answer], dim=-1)
    steps = 5

    def plain() -> None:
        for row, (model, optimizer) in enumerate(zip(models, optimizers, strict=True)):
            for _ in range(steps):
                if encodes:
                    logits, target = model(made.question[row], given[row]), made.answer[row]
                else:
                    logits, target = model(tokens[row]), wanted[row]
                loss = F.cross_entropy(logits.flatten(0, 1), target.flatten(), ignore_index=PAD)
                optimizer.zero_grad(set_to_none=True)
                loss.backward()
                optimizer.step()

    def ours() -> None:
        for _ in range(steps):
            pack.step(made)

    side = "encoder-decoder" if encodes else "decoder-only"
    name = f"{trials} x {side} {width} wide, {layers} layers, batch {batch}"
    return compare(name, "steps/s of all trials", steps * trials, ours, plain)


def alone_line() -> Line:
    """A pack of 8 against the same trials one after the other, in our own code."""
    configs = [gcd_config(0, 1, 32, 32, seed) for seed in range(8)]
    made = training_batch(configs, [0] * 8, 1, CPU)
    singles = [training_batch([config], [0], 1, CPU) for config in configs]
    pack = Pack.of([Start(config) for config in configs], CPU)
    packs = [Pack.of([Start(config)], CPU) for config in configs]
    return compare(
        "pack of 8 / 8 packs of 1 (width 32)",
        "steps/s of all trials",
        8,
        lambda: pack.step(made),
        lambda: [one.step(batch) for one, batch in zip(packs, singles, strict=True)],
    )


# Exact match


def exact_match_line(base: int, encoder: int, *, cached: bool) -> Line:
    """1,000 test examples at width 64; both sides make them."""
    trial = gcd_trial(
        task={"kind": "gcd"},
        encoding={"kind": "digits", "base": base},
        model={"kind": "transformer", "encoder_layers": encoder, "width": 64, "heads": 4},
    )
    model, shape = trial.model, trial.shape()
    assert isinstance(model, TokenModel)
    assert isinstance(shape, TokenShape)
    pack = Pack.of([Start(trial)], CPU)
    weights = pack.layout.views(pack.flat)
    plain = Plain(shape, 64, 4, 1)

    @torch.no_grad()
    def forced() -> None:
        report_metrics(weights, [trial], CPU, 1_000)

    @torch.no_grad()
    def greedy() -> None:
        batch = held_out_batch([trial], 0, 1_000, CPU, trial.task)
        assert isinstance(batch, TokenBatch)
        length = batch.answer.shape[-1]
        if cached:
            given = model.generate(weights, batch.question, length)[0]
        else:
            given = plain.greedy(batch.question[0], length)
        (given == batch.answer[0]).all(dim=-1).double().mean().item()

    side = "encoder-decoder" if encoder else "decoder-only"
    against = "greedy with our cache" if cached else "greedy"
    return compare(
        f"exact match / {against}, {side}, base {base}", "examples/s", 1_000, forced, greedy
    )


def main() -> None:
    """Print the table, or the document."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    machine.prepare(threads=1)
    shapes = [(32, 1, 32), (64, 2, 64), (128, 2, 64), (256, 1, 64)]
    lines = [
        data_line(10),
        data_line(1_000),
        training_line(32, 1, 32, 8, encodes=False),
        *(training_line(*shape, 1, encodes=False) for shape in shapes),
        *(training_line(*shape, 1, encodes=True) for shape in shapes),
        alone_line(),
        *(exact_match_line(base, 0, cached=cached) for base in (2, 10) for cached in (False, True)),
        exact_match_line(10, 1, cached=True),
    ]
    if arguments.json:
        print(json.dumps({"torch": torch.__version__, "lines": [asdict(line) for line in lines]}))
        return
    print(f"{'':52}{'ours':>12}{'plain':>12}{'ratio':>8}")
    for line in lines:
        print(f"{line.name:52}{line.ours:12,.0f}{line.plain:12,.0f}{line.ratio:7.2f}x  {line.unit}")


if __name__ == "__main__":
    main()
