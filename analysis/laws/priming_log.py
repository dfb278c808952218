"""Examples that are needed to prime a model, growing as the logarithm of its training set."""

from analysis.law import Coefficient, Input, Law

LAW = Law(
    name="priming_log",
    formula="count = a + b * log(x)",
    source="Jelassi et al. 2023, arXiv:2306.15400, abstract",
    inputs=(Input("x", "size of the training set, in examples", levels=2),),
    coefficients=(
        Coefficient("a", "priming examples at x = 1"),
        Coefficient("b", "priming examples for an e-fold larger training set", low=0.0),
    ),
)
