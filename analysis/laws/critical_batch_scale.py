"""Steps to a target loss as a function of batch size and of a scale: the target, size or tokens.

The fewest steps are S scale^p, the critical batch is (F / S) scale^q. With the target loss as the scale
it is the critical batch of Kaplan et al., B / loss^(1 / alpha_B), with q = -1 / alpha_B. S counts
updates and F examples (or tokens) at scale 1, which may lie far outside of the data: read p, q and
predictions instead. Several batches are needed at each scale, on both sides of the critical one, with a
learning rate tuned at each.
"""

from analysis.law import Coefficient, Input, Law

LAW = Law(
    name="critical_batch_scale",
    formula="needed = scale^p * (S + F * scale^q / batch)",
    source="McCandlish et al. 2018, arXiv:1812.06162, equation 2.11; "
    "Kaplan et al. 2020, arXiv:2001.08361, equation 5.3",
    inputs=(
        Input("batch", "B, examples or tokens per step", levels=3),
        Input("scale", "target loss, parameters or tokens", levels=3),
    ),
    coefficients=(
        Coefficient("S", "fewest steps, at scale 1", low=0.0),
        Coefficient("F", "fewest examples, at scale 1", low=0.0),
        Coefficient("p", "exponent of the fewest steps", low=-20.0, high=20.0, starts=(-8.0, 4.0)),
        Coefficient(
            "q", "exponent of the critical batch", low=-20.0, high=20.0, starts=(-8.0, 4.0)
        ),
    ),
)
