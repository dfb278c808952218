"""A straight line in ln x: the plainest curve to compare others with."""

from analysis.engine.objective import Objective
from analysis.law import Coefficient, Input, Law

LAW = Law(
    name="logarithmic",
    formula="loss = a + b * log(x)",
    source="least squares in ln x; for priming Jelassi et al. 2023, arXiv:2306.15400",
    inputs=(Input("x", "scale: parameters, examples, ...", levels=2),),
    coefficients=(
        Coefficient("a", "value at x = 1"),
        Coefficient("b", "change when x grows e-fold"),
    ),
    objective=Objective(kind="squares", residual="plain"),
)
