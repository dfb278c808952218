"""A power law that falls to an irreducible loss.

The usual law of one scale: E is what no amount of x removes and b what x = 1 leaves above it, both in
the unit of the loss; c is the exponent of what is left. Use it for compute, size or data over two
decades or more. Where the loss has not yet begun to level off, E and c trade off: an E at 0 or a small
c with a wide interval is no finding but a lack of large runs. Small runs may lie before the power law
begins (see `shifted`), which biases c.
"""

from analysis.law import Coefficient, Input, Law

LAW = Law(
    name="power_floor",
    formula="loss = E + b / x^c",
    source="Henighan et al. 2020, arXiv:2010.14701, equation 1.1",
    inputs=(Input("x", "scale: width, parameters, examples, ...", levels=3),),
    coefficients=(
        Coefficient("E", "irreducible loss, in the unit of the loss", low=0.0),
        Coefficient("b", "reducible loss at x = 1", low=0.0),
        Coefficient("c", "exponent of x", low=0.01, high=10.0, starts=(0.02, 8.0)),
    ),
)
