"""Share of tasks solved in k tries: minus its logarithm is a power law of k.

The plain empirical form of repeated sampling: a is minus the ln of the share solved in one try, c is
how quickly tries help; both are pure numbers (the source's a and b are -a and -c). Use it to compare
with others' fits; `coverage` says where such a law comes from and extrapolates better where tasks are
of many difficulties. A checker that accepts wrong answers puts a ceiling on what tries can bring, which
this law does not know.
"""

from analysis.engine.objective import Objective
from analysis.law import Coefficient, Input, Law

LAW = Law(
    name="coverage_power",
    # The source's a and b are -a and -c here.
    formula="coverage = exp(-a / k^c)",
    source="Brown et al. 2024, arXiv:2407.21787, equation 3",
    inputs=(Input("k", "tries per task", levels=2),),
    coefficients=(
        Coefficient(
            "a",
            "minus the ln of the share solved in one try",
            low=1e-6,
            high=1e4,
            starts=(0.01, 50.0),
            log=True,
        ),
        Coefficient("c", "exponent of k", low=0.0, high=5.0, starts=(0.01, 2.0)),
    ),
    objective=Objective(kind="squares", residual="plain"),
)
