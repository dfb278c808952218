"""Chance that one answer passes: minus its logarithm is a power law of model size.

Fitted by the binomial likelihood of how many answers passed of how many were drawn (the column
`counts`), so that a model which never passed counts for what it says; the logarithm of 0 would not. Use
it to foresee a skill from models that almost never show it: b is minus the ln of the pass rate at x = 1
and c a pure number. A mean over tasks of very unequal difficulty follows no single power; fit groups of
tasks of like difficulty, and sample enough to see some passes at the smallest size.
"""

from analysis.engine.objective import Objective
from analysis.law import Coefficient, Input, Law

LAW = Law(
    name="pass_rate",
    formula="log(rate) = -b / x^c",
    source="Hu et al. 2023, arXiv:2310.03262, equation 3",
    inputs=(Input("x", "N, parameters", levels=2),),
    coefficients=(
        Coefficient("b", "minus the ln of the pass rate at x = 1", low=0.0),
        Coefficient("c", "exponent of x", low=0.0, high=5.0, starts=(0.02, 3.0)),
    ),
    objective=Objective(kind="binomial"),
)
