"""Loss of fine-tuning: the model begins as if it had seen some of the data, then a power law.

Use it for the loss over the number of fine-tuning examples, which is flat at first and falls as a power
later. s is what pre-training was worth, in the unit of x (the source's pre-learned size D_l is s^beta),
E and B are in the unit of the loss, beta is a pure number. Without examples well below and well above
s, s, beta and E trade off. The power phase must have begun: runs from the flat part alone say nothing
of how it will fall.
"""

from analysis.law import Coefficient, Input, Law

LAW = Law(
    name="rectified",
    # The source's pre-learned size D_l is s^beta: s has the unit of x, so that its search fits
    # any table.
    formula="loss = E + B / (s^beta + x^beta)",
    source="Lin et al. 2024, arXiv:2402.02314",
    inputs=(Input("x", "examples of fine-tuning", levels=4),),
    coefficients=(
        Coefficient("E", "irreducible loss, in the unit of the loss", low=0.0),
        Coefficient("B", "loss that data removes, where x^beta + s^beta = 1", low=0.0),
        Coefficient(
            "s",
            "examples that the model has learned before; at its lower bound, a plain power law",
            low=1e-8,
            high=1e4,
            starts=(1e-4, 10.0),
            log=True,
            of="x",
        ),
        Coefficient("beta", "data exponent", low=0.01, high=10.0, starts=(0.05, 4.0)),
    ),
)
