"""Loss as a function of compute and of tokens per parameter, also far beyond the optimal ratio.

It is the law of size and data with both exponents equal to 2 eta, in C = 6 N D and M = D / N. Fitted by
least squares of plain residuals, as its authors do. Use it for small models that are trained much
longer than is optimal: E is in the unit of the loss, eta is the exponent of compute at any fixed ratio,
and a and b are losses at C = M = 1, far outside of any sweep. Count FLOPs as 6 N D also where a program
reports others, or the ratio does not mean what the law takes it for. With one ratio only a + b can be
told, and where the exponents of size and data differ, use `chinchilla`.
"""

from analysis.engine.objective import Objective
from analysis.law import Coefficient, Input, Law

LAW = Law(
    name="over_training",
    formula="loss = E + (a * ratio^eta + b / ratio^eta) / flops^eta",
    source="Gadre et al. 2024, arXiv:2403.08540",
    inputs=(
        Input("flops", "C = 6 N D, training FLOPs", levels=3),
        Input("ratio", "M = D / N, tokens per parameter", levels=2),
    ),
    coefficients=(
        Coefficient("E", "irreducible loss, in the unit of the loss", low=0.0),
        Coefficient("a", "loss that size removes, at C = M = 1", low=0.0),
        Coefficient("b", "loss that data removes, at C = M = 1", low=0.0),
        Coefficient("eta", "exponent of compute", low=0.005, high=1.0, starts=(0.01, 0.95)),
    ),
    objective=Objective(kind="squares", residual="plain"),
)
