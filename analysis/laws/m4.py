"""A power law that begins at the loss of guessing and bends into its power: a sigmoid in ln x.

The law solves (loss - E) / (I - loss)^a = B / x^c for the loss. Use it for learning curves that begin
at chance, such as few-shot errors: I is the loss of guessing and E the irreducible one, in the unit of
the loss, m is the x where the curve leaves its start, and a says how slowly it does. I should be fixed
to its known value, 1 - 1/classes for an error rate. Five coefficients want runs in all three parts of
the curve; without a start or a plateau they trade off, and `power_floor` says as much.
"""

from analysis.law import Coefficient, Input, Law

LAW = Law(
    name="m4",
    # (loss - E) / (I - loss)^a = B / x^c, with B = m^c (I - E)^(1 - a), solved for the loss.
    formula="loss = E + (I - E) * bridge(c * log(m / x), a)",
    source="Alabdulmohsin et al. 2022, arXiv:2209.06640, estimator M4",
    inputs=(Input("x", "training examples or tokens", levels=5),),
    coefficients=(
        Coefficient("E", "irreducible loss, in the unit of the loss", low=0.0),
        Coefficient("I", "loss of guessing, before x helps", low=0.0),
        Coefficient(
            "m",
            "x at which the loss begins to follow its power law",
            low=1e-6,
            high=1e6,
            starts=(1e-3, 1e2),
            log=True,
            of="x",
        ),
        Coefficient("c", "exponent of x, far beyond m", low=0.01, high=10.0, starts=(0.05, 4.0)),
        Coefficient(
            "a",
            "how slowly the loss leaves guessing; 1 is a logistic curve in ln x",
            low=0.05,
            high=20.0,
            starts=(0.1, 8.0),
        ),
    ),
)
