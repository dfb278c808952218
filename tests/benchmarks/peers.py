"""The same transformers as ordinary PyTorch modules, as a careful user would write them."""

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from trainers.batches import TokenBatch
from trainers.config import TrialConfig
from trainers.data.encoding import PAD, START
from trainers.data.shape import TokenShape
from trainers.models.transformer import Transformer


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


class Training:
    """A module with its optimizer; a step as tutorials write it."""

    def __init__(self, config: TrialConfig, device: torch.device) -> None:
        model, shape = config.model, config.shape()
        assert isinstance(model, Transformer)
        assert isinstance(shape, TokenShape)
        self.encodes = model.encoder_layers > 0
        kind = EncoderDecoder if self.encodes else Plain
        torch.manual_seed(config.seed)
        self.model = kind(shape, model.width, model.heads, model.decoder_layers).to(device)
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=1e-4, fused=True)

    def step(self, question: Tensor, answer: Tensor) -> Tensor:
        """One update on one batch; returns its loss."""
        given = torch.cat([torch.full_like(answer[:, :1], START), answer[:, :-1]], dim=1)
        if self.encodes:
            logits, wanted = self.model(question, given), answer
        else:
            logits = self.model(torch.cat([question, given], dim=1))
            wanted = torch.cat([torch.full_like(question, PAD), answer], dim=1)
        loss = F.cross_entropy(logits.flatten(0, 1), wanted.flatten(), ignore_index=PAD)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()
        return loss.detach()


def lone_batch(batch: TokenBatch, row: int = 0) -> tuple[Tensor, Tensor]:
    """Question and answer of one trial of a pack."""
    return batch.question[row], batch.answer[row]
