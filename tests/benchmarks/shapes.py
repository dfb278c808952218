"""The shapes of the trials that are timed, all of them on GCDs up to 10^6."""

from dataclasses import dataclass
from typing import Literal

import torch

from trainers.batches import TokenBatch, training_batch
from trainers.config import TrialConfig, trial_config
from trainers.data.shape import TokenShape


@dataclass(frozen=True)
class Shape:
    """Layers on each side, width, heads and batch; without an encoder it is decoder-only."""

    encoder: int
    decoder: int
    width: int
    batch: int
    heads: int = 4
    base: int = 10
    precision: Literal["float32", "bfloat16"] = "float32"

    @property
    def name(self) -> str:
        """As it stands in a table."""
        side = f"{self.encoder}+{self.decoder}" if self.encoder else f"{self.decoder}"
        layers = "layer" if side == "1" else "layers"
        return f"width {self.width}, {side} {layers}, batch {self.batch}"


def decoder_only(layers: int, width: int, batch: int) -> Shape:
    """Question and answer as one causal line."""
    return Shape(0, layers, width, batch)


def both_sides(layers: int, width: int, batch: int) -> Shape:
    """As many layers in the encoder as in the decoder."""
    return Shape(layers, layers, width, batch)


def transformer(shape: Shape) -> dict[str, object]:
    """The fields of a model of this shape."""
    return {
        "kind": "transformer",
        "encoder_layers": shape.encoder,
        "decoder_layers": shape.decoder,
        "width": shape.width,
        "heads": shape.heads,
    }


def trial(shape: Shape, seed: int = 0, **fields: object) -> TrialConfig:
    """A trial of this shape with AdamW and a budget that no benchmark uses up; `fields` replace its own."""
    return trial_config(
        {
            "task": {"kind": "gcd"},
            "encoding": {"kind": "digits", "base": shape.base},
            "model": transformer(shape),
            "optimizer": {"kind": "adamw", "lr": 1e-4},
            "batch_size": shape.batch,
            "budget": {"steps": 1_000_000},
            "evaluation": {"points": 2},
            "precision": shape.precision,
            "seed": seed,
            **fields,
        }
    )


def batch_of(configs: list[TrialConfig], device: torch.device, step: int = 0) -> TokenBatch:
    """The examples of one step of each of these trials."""
    made = training_batch(configs, [step] * len(configs), 1, device)
    assert isinstance(made, TokenBatch)
    return made


def token_shape(config: TrialConfig) -> TokenShape:
    """Of a trial of tokens."""
    shape = config.shape()
    assert isinstance(shape, TokenShape)
    return shape
