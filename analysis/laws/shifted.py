"""A power law in x + s: flat while x is small, with an irreducible loss."""

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
            "what the model has before it begins, in the unit of x; 0 is a plain power law",
            low=0.0,
            high=1e3,
            starts=(1e-4, 10.0),
            of="x",
        ),
        Coefficient("c", "exponent of x + s", low=0.01, high=10.0, starts=(0.02, 4.0)),
    ),
)
