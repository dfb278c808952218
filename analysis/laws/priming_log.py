"""Examples that are needed to prime a model, growing as the logarithm of its training set.

Priming adds a few long examples to a training set so that a model masters that length. The rows are
sizes of training sets (in examples) and the least number of priming examples that sufficed; a is that
number at x = 1, and b how many more an e-fold larger set needs. The least number is found on a grid, so
its rounding is noise of one step. Judge it against `priming_power`, on training sets of at least two
decades: over less a logarithm and a small power look alike.
"""

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
