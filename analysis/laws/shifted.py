"""A power law in x + s: flat while x is small, with an irreducible loss.

Use it where the smallest runs lie above or below the straight part of a log-log plot, which would bias
the exponent of `power_floor`. s is in the unit of x and gives x = 0 a finite loss, E and b are in the
unit of the loss, and c is the exponent far beyond s. s is determined by small runs, E by large ones;
with less than three decades of x the two bend the same curve and c gets a wide interval.
"""

from analysis.law import Coefficient, Input, Law

LAW = Law(
    name="shifted",
    formula="loss = E + b / (x + s)^c",
    source="Zhai et al. 2021, arXiv:2106.04560",
    inputs=(Input("x", "scale: training compute, examples, ...", levels=4),),
    coefficients=(
        Coefficient("E", "irreducible loss, in the unit of the loss", low=0.0),
        Coefficient("b", "reducible loss at x + s = 1", low=0.0),
        Coefficient(
            "s",
            "what the model has before it begins, in the unit of x; "
            "at its lower bound, a plain power law",
            low=1e-8,
            high=1e4,
            starts=(1e-3, 10.0),
            log=True,
            of="x",
        ),
        Coefficient("c", "exponent of x + s", low=0.01, high=10.0, starts=(0.02, 4.0)),
    ),
)
