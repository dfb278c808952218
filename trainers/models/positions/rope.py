from typing import Literal

import torch
import torch.nn.functional as F  # noqa: N812
from jaxtyping import Float, Int
from pydantic import Field
from torch import Tensor
from typing_extensions import override

from trainers.models.position import TurnedPosition
from trainers.models.stack import can_look
from trainers.models.tables import kept


class Rope(TurnedPosition):
    """Rotary positions: queries and keys turn by angles that grow with their place.

    Source: Su et al. 2021, arXiv:2104.09864, equation 34.
    """

    kind: Literal["rope"] = "rope"
    base: float = Field(default=10_000.0, gt=1)

    @override
    def rotate(
        self, x: Float[Tensor, "rows head pos dim"], at: Int[Tensor, "rows pos"]
    ) -> Float[Tensor, "rows head pos dim"]:
        half = x.shape[-1] // 2
        cos, sin = _turns(at[:, None], half, self.base, x.dtype)
        left, right = x[..., :half], x[..., half:]
        return torch.cat([left * cos - right * sin, left * sin + right * cos], dim=-1)


def _turns(
    at: Int[Tensor, "*place"], half: int, base: float, dtype: torch.dtype
) -> tuple[Tensor, Tensor]:
    """Cosine and sine of the angles of each place; on a CPU out of a table that is kept."""
    if not can_look(at):
        return _angles(at, half, base, dtype)
    cos, sin = _table(1 << max(10, at.shape[-1].bit_length()), half, base, dtype)
    try:
        return F.embedding(at, cos), F.embedding(at, sin)
    except IndexError:  # a later token of a line that is longer than that
        cos, sin = _table(1 << int(at.amax()).bit_length(), half, base, dtype)
        return F.embedding(at, cos), F.embedding(at, sin)


@kept
def _table(places: int, half: int, base: float, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    return _angles(torch.arange(places), half, base, dtype)


def _angles(
    at: Int[Tensor, "*place"], half: int, base: float, dtype: torch.dtype
) -> tuple[Tensor, Tensor]:
    exponent = -torch.arange(half, dtype=torch.float64, device=at.device) / half
    angle = at[..., None] * base**exponent  # radians; a float32 would err as `at` grows
    return angle.cos().to(dtype), angle.sin().to(dtype)
