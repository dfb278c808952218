"""A training loop in the style of Charton's Int2Int, written from its description, as a peer.

One example after the other in Python, as words that a collate function looks up; tables of 4,096
places; three projections and a softmax of their own in attention, norms after each part; masks made
in every call; Adam one tensor after the other; clipping at 5; a test for NaN and a number of the
loss in every step. Described in Charton 2023, arXiv:2308.15594, and github.com/f-charton/Int2Int.
"""

import math
from collections.abc import Iterator

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn
from torch.utils.data import DataLoader, IterableDataset

_PLACES = 4096
_LARGEST = 1_000_000
_EOS, _PAD = "<eos>", "<pad>"
_TABLES = ("token", "place")

Sample = tuple[list[str], list[str]]


class Pairs(IterableDataset[Sample]):
    """Pairs with their GCD as words, for ever."""

    def __init__(self, base: int, seed: int) -> None:
        super().__init__()
        self.base, self.rng = base, np.random.RandomState(seed)

    def __iter__(self) -> Iterator[Sample]:
        while True:
            a, b = (int(self.rng.randint(1, _LARGEST + 1)) for _ in range(2))
            question = ["V2", *self.written(a), *self.written(b)]
            yield question, self.written(math.gcd(a, b))

    def written(self, number: int) -> list[str]:
        """Sign and digits, most significant first."""
        digits: list[str] = []
        while number:
            digits.append(str(number % self.base))
            number //= self.base
        return ["+", *reversed(digits)]


class Words:
    """The vocabulary, and sentences as padded tensors of its numbers."""

    def __init__(self, base: int) -> None:
        words = [_EOS, _PAD, "+", "-", *(f"V{size}" for size in (1, 2)), *map(str, range(base))]
        self.numbers = {word: number for number, word in enumerate(words)}

    def collate(self, samples: list[Sample]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Questions and answers with their lengths; an answer also begins with a sign of its end."""
        questions, answers = zip(*samples, strict=True)
        begun = tuple([_EOS, *answer] for answer in answers)
        return *self.padded(questions), *self.padded(begun)

    def padded(self, sentences: tuple[list[str], ...]) -> tuple[Tensor, Tensor]:
        """Sentences with a sign of their end, and how long each is."""
        numbers = [torch.LongTensor([self.numbers[word] for word in line]) for line in sentences]
        lengths = torch.LongTensor([len(line) + 1 for line in numbers])
        batch = torch.full((len(numbers), int(lengths.max())), self.numbers[_PAD])
        for row, line in enumerate(numbers):
            batch[row, : len(line)] = line
            batch[row, len(line)] = self.numbers[_EOS]
        return batch, lengths


class Attention(nn.Module):
    """Queries, keys and values by three maps; scores, softmax and sum one after the other."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads, self.size = heads, width // heads
        self.query, self.key = nn.Linear(width, width), nn.Linear(width, width)
        self.value, self.out = nn.Linear(width, width), nn.Linear(width, width)

    def forward(self, x: Tensor, read: Tensor, mask: Tensor) -> Tensor:
        """What each place of x reads at the places of `read` that the mask shows."""

        def apart(y: Tensor) -> Tensor:
            return y.view(len(x), -1, self.heads, self.size).transpose(1, 2)

        query = apart(self.query(x)) / math.sqrt(self.size)
        scores = torch.matmul(query, apart(self.key(read)).transpose(2, 3))
        hidden = (mask == 0)[:, None].expand_as(scores)
        scores.masked_fill_(hidden, -float("inf"))
        shares = F.softmax(scores.float(), dim=-1).type_as(scores)
        found = torch.matmul(shares, apart(self.value(read)))
        return self.out(found.transpose(1, 2).contiguous().view(x.shape))


class Side(nn.Module):
    """Encoder or decoder, with the norm after each part."""

    def __init__(self, words: int, width: int, heads: int, layers: int, *, decodes: bool) -> None:
        super().__init__()
        self.decodes = decodes
        self.token, self.place = nn.Embedding(words, width), nn.Embedding(_PLACES, width)
        self.first_norm = nn.LayerNorm(width)
        self.own = nn.ModuleList(Attention(width, heads) for _ in range(layers))
        self.own_norm = nn.ModuleList(nn.LayerNorm(width) for _ in range(layers))
        crossing = layers if decodes else 0
        self.cross = nn.ModuleList(Attention(width, heads) for _ in range(crossing))
        self.cross_norm = nn.ModuleList(nn.LayerNorm(width) for _ in range(crossing))
        self.grow = nn.ModuleList(nn.Linear(width, 4 * width) for _ in range(layers))
        self.shrink = nn.ModuleList(nn.Linear(4 * width, width) for _ in range(layers))
        self.norm = nn.ModuleList(nn.LayerNorm(width) for _ in range(layers))

    def forward(
        self, tokens: Tensor, lengths: Tensor, read: Tensor | None, read_lengths: Tensor | None
    ) -> Tensor:
        """The stream after all layers, 0 at padding."""
        length = tokens.shape[1]
        at = torch.arange(length, device=tokens.device)
        present = at < lengths[:, None]
        sees = present[:, None, :].expand(-1, length, -1)
        if self.decodes:
            sees = at[None, None, :].repeat(len(tokens), length, 1) <= at[None, :, None]
        there = None
        if read is not None and read_lengths is not None:
            places = torch.arange(read.shape[1], device=read.device)
            there = (places < read_lengths[:, None])[:, None, :]
        x = self.token(tokens) + self.place(at[None].expand_as(tokens))
        x = self.first_norm(x) * present[..., None].to(x.dtype)
        for layer, attend in enumerate(self.own):
            x = self.own_norm[layer](x + attend(x, x, sees))
            if read is not None:
                x = self.cross_norm[layer](x + self.cross[layer](x, read, there))
            x = self.norm[layer](x + self.shrink[layer](F.relu(self.grow[layer](x))))
            x = x * present[..., None].to(x.dtype)
        return x


class Loop:
    """Encoder, decoder, optimizer and data; a step of training as it is written there."""

    def __init__(
        self, width: int, heads: int, layers: int, batch: int, base: int, device: torch.device
    ) -> None:
        words = Words(base)
        torch.manual_seed(0)
        self.device = device
        self.encoder, self.decoder = (
            Side(len(words.numbers), width, heads, layers, decodes=decodes).to(device)
            for decodes in (False, True)
        )
        for table in (
            side.get_submodule(name) for side in (self.encoder, self.decoder) for name in _TABLES
        ):
            nn.init.normal_(table.get_parameter("weight"), std=width**-0.5)
        self.head = nn.Linear(width, len(words.numbers)).to(device)
        self.head.weight = self.decoder.token.weight
        modules = nn.ModuleList([self.encoder, self.decoder, self.head])
        self.parameters = list(modules.parameters())
        self.optimizer = torch.optim.Adam(self.parameters, lr=1e-4, foreach=False, fused=False)
        self.data = iter(DataLoader(Pairs(base, 0), batch_size=batch, collate_fn=words.collate))
        self.losses: list[float] = []
        self.words = 0

    def step(self) -> None:
        """One update, on examples that are made first."""
        x, x_lengths, y, y_lengths = next(self.data)
        at = torch.arange(int(y_lengths.max()))
        scored = at[None, :] < y_lengths[:, None] - 1  # nothing follows the last word
        wanted = y[:, 1:].masked_select(scored[:, :-1])
        x, x_lengths, y, y_lengths, scored, wanted = (
            tensor.to(self.device) for tensor in (x, x_lengths, y, y_lengths, scored, wanted)
        )
        if len(wanted) != int((y_lengths - 1).sum().item()):
            raise ValueError("expected one score for every word but the first")
        self.encoder.train()
        self.decoder.train()
        read = self.encoder(x, x_lengths, None, None)
        states = self.decoder(y, y_lengths, read, x_lengths)
        chosen = states[scored[..., None].expand_as(states)].view(-1, states.shape[-1])
        loss = F.cross_entropy(self.head(chosen).float(), wanted)
        self.losses.append(loss.item())
        if bool((loss != loss).data.any()):
            raise FloatingPointError("the loss is not a number")
        self.optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.parameters, 5.0)
        self.optimizer.step()
        self.words += int((x_lengths + y_lengths - 2).sum().item())
