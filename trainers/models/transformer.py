from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Literal

import torch
import torch.nn.functional as F  # noqa: N812
from jaxtyping import Bool, Float, Int
from pydantic import Field, model_validator
from torch import Tensor
from typing_extensions import override

from trainers import flops
from trainers.data.encoding import END, PAD, START
from trainers.data.shape import TokenShape
from trainers.models import positions
from trainers.models.activation import Activation
from trainers.models.attention import Mask, Memory, Sight, before, remember, seen, seen_before
from trainers.models.block import Other, Style, block, block_parameters
from trainers.models.model import Trimmable
from trainers.models.parametrisation import AnyParametrisation, Standard
from trainers.models.position import Line, Position
from trainers.models.positions.learned import Learned
from trainers.models.recompute import through
from trainers.models.stack import (
    Parameter,
    Weights,
    embedding,
    layer_norm,
    linear,
    linear_parameters,
    norm_parameters,
    uniform_start,
)
from trainers.plugins import union

if TYPE_CHECKING:
    AnyPosition = Position
else:
    AnyPosition = union(positions, Position)


class Transformer(Trimmable):
    """Attention over question and answer: encoder-decoder, decoder-only, or encoder-only.

    Without encoder layers, question and answer are one causal sequence. Without decoder layers, the
    slots of the answer follow the question, all see all, and every slot is answered at once.
    Source: Vaswani et al. 2017, arXiv:1706.03762; pre-norm: Xiong et al. 2020, arXiv:2002.04745;
    shared layers: Dehghani et al. 2018, arXiv:1807.03819; copy gates: Csordas et al. 2021,
    arXiv:2110.07732.
    """

    kind: Literal["transformer"] = "transformer"
    encoder_layers: int = Field(default=1, ge=0, le=256)
    decoder_layers: int = Field(default=1, ge=0, le=256)
    width: int = Field(default=64, ge=2, le=65_536)
    heads: int = Field(default=4, ge=1, le=1_024)
    feedforward: int = Field(default=4, ge=1, le=64)  # hidden neurons of a layer's MLP, in widths
    activation: Activation = "gelu"
    position: AnyPosition = Learned()
    norm: Literal["pre", "post"] = "pre"
    tied_embeddings: bool = False  # the head's weights are the embeddings of the tokens
    shared_layers: bool = False  # one layer's weights for the whole encoder, one for the decoder
    gated: bool = False  # a gate at the end of each layer, which copies what came in
    start: Literal["variance", "uniform"] = "variance"  # uniform: the start of torch.nn.Linear
    parametrisation: AnyParametrisation = Standard()

    @model_validator(mode="after")
    def _fits(self) -> "Transformer":
        if self.encoder_layers + self.decoder_layers == 0:
            raise ValueError("expected at least one layer in encoder_layers and decoder_layers")
        if self.width % self.heads:
            raise ValueError(
                f"expected a width divisible by heads, got {self.width} and {self.heads}"
            )
        if self.position.kind == "rope" and self.width // self.heads % 2:
            raise ValueError(
                f"expected an even width per head with rope, got {self.width // self.heads}"
            )
        if self.position.kind == "abacus" and not self.decoder_layers:
            raise ValueError(
                "expected decoder_layers with abacus: slots of an answer are no digits of a number"
            )
        plain = self.norm == "pre" and not self.shared_layers and not self.gated
        if self.parametrisation.kind == "depth_mup" and not plain:
            raise ValueError("expected norm pre, no shared_layers and no gated with depth_mup")
        return self

    @override
    def parameters(self, shape: TokenShape) -> tuple[Parameter, ...]:
        rules = self.parametrisation
        width, heads = rules.of_base(self.width, self.heads)
        base = self.model_copy(update={"width": width, "heads": heads})
        return rules.scaled(self._parameters(shape), base._parameters(shape), self._depth)

    def _depth(self, name: str) -> int:
        """Layers of the side that this parameter's layer is on, and 0 outside of layers."""
        side, _, rest = name.partition(".")
        return len(self._names(side)) if rest[:1].isdigit() else 0

    def _parameters(self, shape: TokenShape) -> Iterator[Parameter]:
        parameters = self._kept_variance(shape)
        return parameters if self.start == "variance" else uniform_start(parameters)

    def _kept_variance(self, shape: TokenShape) -> Iterator[Parameter]:
        width = self.width
        yield Parameter("token", (shape.vocabulary, width), "normal", width**-0.5)
        crosses = self.encoder_layers > 0 and self.decoder_layers > 0
        if self.encoder_layers:
            length = shape.question if crosses else shape.tokens
            yield from self._side_parameters("encoder", shape, length, crosses=False)
        if self.decoder_layers:
            length = shape.answer if crosses else shape.tokens
            yield from self._side_parameters("decoder", shape, length, crosses=crosses)
        head = linear_parameters("head", width, shape.outputs)
        yield from head[1:] if self.tied_embeddings else head

    def _side_parameters(
        self, side: str, shape: TokenShape, length: int, *, crosses: bool
    ) -> Iterator[Parameter]:
        yield from self.position.parameters(side, shape, length, self.width)
        for name in dict.fromkeys(self._names(side)):
            yield from block_parameters(
                self._style(side), name, length, causal=side == "decoder", crosses=crosses
            )
        if self.norm == "pre":
            yield from norm_parameters(f"{side}.norm", self.width)

    def _names(self, side: str) -> list[str]:
        """The name of each layer's weights."""
        layers = self.encoder_layers if side == "encoder" else self.decoder_layers
        return [f"{side}.{0 if self.shared_layers else layer}" for layer in range(layers)]

    def _style(self, side: str) -> Style:
        return Style(
            width=self.width,
            heads=self.heads,
            hidden=self.feedforward * self.width,
            activation=self.activation,
            norm=self.norm,
            gated=self.gated,
            position=self.position,
            score=self.parametrisation.attention(self.width // self.heads),
            branch=self.parametrisation.branch(len(self._names(side))),
        )

    @override
    def cost(self, shape: TokenShape) -> flops.Cost:
        tables = [
            parameter.size
            for parameter in self._parameters(shape)
            if parameter.name.endswith(".place")
        ]
        return flops.transformer(
            encoder_layers=self.encoder_layers,
            decoder_layers=self.decoder_layers,
            width=self.width,
            feedforward=self.feedforward * self.width,
            vocabulary=shape.vocabulary,
            outputs=shape.outputs,
            question=shape.question,
            answer=shape.answer,
            position_params=sum(tables),
            position_products=self.position.products(),
            final_norm=self.norm == "pre",
            tied=self.tied_embeddings,
            shared=self.shared_layers,
            gated=self.gated,
        )

    @override
    def state_size(self) -> int:
        return self.width

    @override
    def leaves_out_padding(self) -> bool:
        # slots that are answered at once all see one another; random places are drawn for every slot
        return self.decoder_layers > 0 and self.position.kind != "randomised"

    @override
    def states(
        self,
        weights: Weights,
        question: Int[Tensor, "trial batch question"],
        answer: Int[Tensor, "trial batch answer"],
    ) -> Float[Tensor, "trial batch answer state"]:
        slots = answer.shape[-1]
        if not self.decoder_layers:
            return self._filled(weights, question, slots)
        given = torch.cat([torch.full_like(answer[..., :1], START), answer[..., :-1]], dim=-1)
        if self.encoder_layers:
            others = self._encode(weights, question)
            line = Line(given, _counted(given), question, asks=False, slots=slots)
            mask = before(slots, question.device)
        else:
            others = None
            line, present = _joined(question, given, slots)
            mask = seen_before(present.flatten(0, 1))
        at = self.position.places(line)
        return self._run(weights, "decoder", line.tokens, at, mask, others=others, scored=slots)

    @override
    def scores(
        self, weights: Weights, states: Float[Tensor, "trial batch answer state"]
    ) -> Float[Tensor, "trial batch answer vocabulary"]:
        if self.tied_embeddings:
            bias = weights["head.bias"]
            tied = {"head.weight": weights["token"][:, : bias.shape[-1]].mT, "head.bias": bias}
            factor = self.parametrisation.tied(self.width)
            return linear(tied, "head", states if factor == 1 else states * factor)
        return linear(weights, "head", states)

    @override
    def generate(
        self, weights: Weights, question: Int[Tensor, "trial batch question"], length: int
    ) -> Int[Tensor, "trial batch answer"]:
        if not self.decoder_layers:
            states = self._filled(weights, question, length)
            return _until_end(self.scores(weights, states).argmax(dim=-1))
        start = torch.full_like(question[..., :1], START)
        past: list[Memory] = []
        if self.encoder_layers:
            others = self._encode(weights, question)
            line = Line(start, _counted(start), question, asks=False, slots=length)
            mask = None
        else:
            others = None
            line, present = _joined(question, start, length)
            mask = seen_before(present.flatten(0, 1))
        given: list[Tensor] = []
        over = torch.zeros_like(start, dtype=torch.bool)
        for _ in range(length):
            new = 1 if given else line.tokens.shape[-1]
            at = self.position.places(line)[..., -new:]
            tokens = line.tokens[..., -new:]
            earlier, past = past, list[Memory]()
            x = self._run(
                weights,
                "decoder",
                tokens,
                at,
                mask,
                past=earlier,
                known=past,
                others=others,
                scored=1,
            )
            token = self.scores(weights, x).argmax(dim=-1)
            given.append(token)
            over = over | (token == END) | (token == PAD)
            if bool(over.all()):
                break
            line = line.followed_by(token)
            # the next place sees what this one sees, and itself
            mask = None if mask is None else F.pad(mask[:, :, -1:], (0, 1))
        found = torch.cat(given, dim=-1)
        return F.pad(_until_end(found), (0, length - found.shape[-1]), value=PAD)

    def _filled(
        self, weights: Weights, question: Int[Tensor, "trial batch question"], slots: int
    ) -> Float[Tensor, "trial batch slot state"]:
        """States of all slots of the answer at once, which see the question and one another."""
        empty = torch.full_like(question[..., :1], START).expand(-1, -1, slots)
        line, present = _joined(question, empty, slots)
        mask = seen(present.flatten(0, 1))
        at = self.position.places(line)
        return self._run(weights, "encoder", line.tokens, at, mask, scored=slots)

    def _encode(
        self, weights: Weights, question: Int[Tensor, "trial batch question"]
    ) -> list[Other]:
        """What each layer of the decoder finds in the question."""
        line = Line(question, _counted(question), question, asks=True, slots=0)
        at = self.position.places(line)
        mask = seen((question != PAD).flatten(0, 1))
        x = self._run(weights, "encoder", question, at, mask).flatten(1, 2)
        sight = Sight(at.expand(question.shape).flatten(0, 1), mask, causal=False)
        names = self._names("decoder")
        found = {
            name: Other(
                remember(weights, f"{name}.cross", self.heads, x, self.position, sight.at), sight
            )
            for name in dict.fromkeys(names)
        }
        return [found[name] for name in names]

    def _run(
        self,
        weights: Weights,
        side: str,
        tokens: Int[Tensor, "trial batch pos"],
        at: Int[Tensor, "trial #batch pos"],
        mask: Mask | None,
        *,
        past: Sequence[Memory] = (),
        known: list[Memory] | None = None,
        others: list[Other] | None = None,
        scored: int | None = None,
    ) -> Float[Tensor, "trial batch scored width"]:
        """All layers of a side, over tokens that follow the past: the last `scored` states, or all.

        The memory of every layer is added to `known`.
        """
        columns = tokens.shape[-1] + (past[0].keys.shape[2] if past else 0)
        x = embedding(weights["token"], tokens)
        added = self.position.embed(weights, side, at, columns=columns, width=self.width)
        if added is not None:
            fixed = f"{side}.place" not in weights  # of a size that the width alone decides
            x = torch.add(x, added, alpha=self.parametrisation.fixed(self.width) if fixed else 1)
        x = x.flatten(1, 2)
        sight = Sight(at.expand(tokens.shape).flatten(0, 1), mask, causal=side == "decoder")
        style, names = self._style(side), self._names(side)
        for number, name in enumerate(names):
            earlier = past[number] if past else None
            other = others[number] if others else None
            wanted = scored if number == len(names) - 1 and scored != tokens.shape[-1] else None
            x, memory = through(block, weights, style, name, x, sight, earlier, other, wanted)
            if known is not None:
                known.append(memory)
            del memory  # it would be kept until the next layer has its own
        if self.norm == "pre":
            x = layer_norm(weights, f"{side}.norm", x)
        return x.view(*tokens.shape[:2], -1, self.width)


def _counted(tokens: Int[Tensor, "trial batch pos"]) -> Int[Tensor, "trial 1 pos"]:
    """Places from 0 on, the same ones in every row."""
    count = torch.arange(tokens.shape[-1], device=tokens.device)
    return count.expand(tokens.shape[0], 1, -1)


def _joined(
    question: Int[Tensor, "trial batch question"],
    given: Int[Tensor, "trial batch given"],
    slots: int,
) -> tuple[Line, Bool[Tensor, "trial batch pos"]]:
    """Question and answer as one line, the question moved right up to the answer; what is no padding.

    So answers stand in the same columns in every row; places are counted from the first true token.
    """
    padding = (question == PAD).sum(dim=-1, keepdim=True)
    moved = question.gather(-1, (_counted(question) - padding) % question.shape[-1])
    tokens = torch.cat([moved, given], dim=-1)
    at = _counted(tokens) - padding
    return Line(tokens, at.clamp(min=0), question, asks=True, slots=slots), at >= 0


def _until_end(tokens: Int[Tensor, "trial batch pos"]) -> Int[Tensor, "trial batch pos"]:
    """After the end comes nothing."""
    over = ((tokens == END) | (tokens == PAD)).cumsum(dim=-1)
    return torch.where(F.pad(over, (1, -1)) > 0, PAD, tokens)
