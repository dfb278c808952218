"""Loss of a routed mixture of experts: a plane in log size and log experts, with their product.

Use it for models that differ in dense size N and in the number of experts E: a is the exponent of a
dense model, b that of experts at N = 1, and c how much the gain shrinks for every tenfold of size; d is
the log10 of a loss. All are pure numbers. b and d belong to N = 1, far outside of any sweep, and move
together with c and a: compare predictions. There is no irreducible loss, and the gain of experts
neither begins nor ends: outside of the range of experts use `moe_saturating`.
"""

from analysis.engine.objective import Objective
from analysis.law import Coefficient, Input, Law

LAW = Law(
    name="moe_bilinear",
    formula="log10(loss) = a * log10(params) + b * log10(experts) + c * log10(params) * log10(experts) + d",
    source="Clark et al. 2022, arXiv:2202.01169",
    inputs=(
        Input("params", "N, parameters of the dense model", levels=2),
        Input("experts", "E, experts of a layer; 1 is a dense model", levels=2),
    ),
    coefficients=(
        Coefficient("a", "size exponent of a dense model"),
        Coefficient("b", "exponent of experts, at N = 1"),
        Coefficient("c", "how the gain of experts falls with size"),
        Coefficient("d", "log10 of the loss, at N = E = 1"),
    ),
    objective=Objective(kind="squares"),
)
