"""Examples that are needed to prime a model, growing as a power of its training set.

The form against which `priming_log` is judged; an exponent c of 1 is a constant share of the training
set, one near 0 can hardly be told from a logarithm. b is the number of examples at x = 1. A comparison
of the two needs training sets over two decades or more, and should be made on held-out larger ones.
"""

from analysis.law import Coefficient, Input, Law

LAW = Law(
    name="priming_power",
    formula="count = b * x^c",
    source="the alternative to Jelassi et al. 2023, arXiv:2306.15400",
    inputs=(Input("x", "size of the training set, in examples", levels=2),),
    coefficients=(
        Coefficient("b", "priming examples at x = 1", low=0.0),
        Coefficient("c", "exponent of the training set's size", -2.0, 5.0, starts=(-0.5, 3.0)),
    ),
)
