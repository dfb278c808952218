from typing import Literal

from pydantic import Field
from typing_extensions import override

from trainers.data.draws import Draws
from trainers.data.task import NumberTask, Samples


class Square(NumberTask):
    """Given x, uniform on [-reach, reach], predict x^2.

    Source: Liu and Tegmark 2023, arXiv:2310.02258, the one-hidden-layer experiment.
    """

    kind: Literal["square"] = "square"
    reach: float = Field(default=2.0, gt=0, le=1e6)

    @override
    def samples(self, draws: Draws) -> Samples:
        x = ((2 * draws.uniform() - 1) * self.reach)[..., None]
        return Samples(inputs=x, targets=x**2)

    @override
    def sizes(self) -> tuple[int, int]:
        return 1, 1
