"""Loss of a routed mixture of experts whose gain begins and ends at some number of experts.

`moe_bilinear` in an effective number of experts, which is `start` for one expert and comes to `limit`
for endless ones; a, b, c and d are as there, pure numbers of log10. Use it when the number of experts
spans two decades or more; `limit` is determined only by runs where more experts have stopped to help,
and otherwise runs to its bound without harm to the rest.
"""

from analysis.engine.objective import Objective
from analysis.law import Coefficient, Input, Law

# log10 of the experts that count: `start` of them at E = 1, `limit` at E without end.
GAIN = "-log10(1 / (experts - 1 + 1 / (1 / start - 1 / limit)) + 1 / limit)"

LAW = Law(
    name="moe_saturating",
    formula=f"log10(loss) = a * log10(params) + (b + c * log10(params)) * ({GAIN}) + d",
    source="Clark et al. 2022, arXiv:2202.01169",
    inputs=(
        Input("params", "N, parameters of the dense model", levels=2),
        Input("experts", "E, experts of a layer; 1 is a dense model", levels=4),
    ),
    coefficients=(
        Coefficient("a", "size exponent"),
        Coefficient("b", "exponent of experts, at N = 1"),
        Coefficient("c", "how the gain of experts falls with size"),
        Coefficient("d", "log10 of the loss, at N = 1 and one expert that counts"),
        Coefficient("start", "experts that one expert counts as", 1.0, 100.0, (1.05, 20.0)),
        Coefficient(
            "limit", "experts that endless experts count as", 2.0, 1e7, (30.0, 1e4), log=True
        ),
    ),
    objective=Objective(kind="squares"),
)
