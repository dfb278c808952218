"""Share of tasks solved in k tries, where tasks differ in difficulty by a beta distribution.

It is 1 - E (1 - p)^k with p ~ Beta(a, b); for large k the unsolved share falls as k^-a. Use it for
pass@k over a set of tasks with a checker that makes no mistakes; a and b are pure numbers, and a / (a +
b) is the share solved in one try. The points must be unbiased estimates of pass@k, not powers of a mean
success rate; those of one set of samples move together, so give their intervals little credit. Tasks
that cannot be solved at all, or a checker with false positives, break the law for large k.
"""

from analysis.engine.objective import Objective
from analysis.law import Coefficient, Input, Law

LAW = Law(
    name="coverage",
    formula="coverage = 1 - exp(loggamma(a + b) + loggamma(b + k) - loggamma(b) - loggamma(a + b + k))",
    source="Levi 2024, arXiv:2410.16377; Schaeffer et al. 2025, arXiv:2502.17578",
    inputs=(Input("k", "tries per task", levels=2),),
    coefficients=(
        Coefficient(
            "a",
            "weight of hard tasks: the unsolved share falls as k^-a",
            low=1e-3,
            high=1e3,
            starts=(0.02, 20.0),
            log=True,
        ),
        Coefficient(
            "b",
            "a / (a + b) is the share solved in one try",
            low=1e-3,
            high=1e6,
            starts=(0.05, 1e4),
            log=True,
        ),
    ),
    objective=Objective(kind="squares", residual="plain"),
)
