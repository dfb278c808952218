"""A straight line in ln x: the plainest curve to compare others with.

a is the value at x = 1 and b the change when x grows e-fold, both in the unit of the target, which may
be negative. Use it as a baseline that any other law must beat on held-out scales, and for counts or
scores over less than two decades, where most smooth curves are nearly straight. It crosses every bound
in the end: never extrapolate a loss or an accuracy by it.
"""

from analysis.engine.objective import Objective
from analysis.law import Coefficient, Input, Law

LAW = Law(
    name="logarithmic",
    formula="loss = a + b * log(x)",
    source="textbook: least squares in ln x; for priming Jelassi et al. 2023, arXiv:2306.15400",
    inputs=(Input("x", "scale: parameters, examples, ...", levels=2),),
    coefficients=(
        Coefficient("a", "value at x = 1"),
        Coefficient("b", "change when x grows e-fold"),
    ),
    objective=Objective(kind="squares", residual="plain"),
)
