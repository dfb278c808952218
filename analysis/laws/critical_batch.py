"""Steps to one target loss as a function of batch size, and the critical batch.

With E = B S examples this is the hyperbola (S / steps - 1) (E / examples - 1) = 1 of the fewest steps
and the fewest examples; examples = steps * critical. Use it on runs of several batch sizes that all
reach the same loss: `steps` is a number of updates, `critical` has the unit of the batch (examples or
tokens) and is where a larger batch begins to waste data. Batches on both sides of it are needed, or
only one of the two numbers is determined; and the learning rate must have been tuned at every batch, or
the curve measures the tuning.
"""

from analysis.law import Coefficient, Input, Law

LAW = Law(
    name="critical_batch",
    formula="needed = steps * (1 + critical / batch)",
    source="McCandlish et al. 2018, arXiv:1812.06162, equations 2.11 and 2.12",
    inputs=(Input("batch", "B, examples or tokens per step", levels=3),),
    coefficients=(
        Coefficient("steps", "fewest steps, of a batch without end", low=0.0),
        Coefficient(
            "critical",
            "critical batch, in the unit of the batch",
            1e-9,
            1e9,
            (1e-3, 1e3),
            log=True,
            of="batch",
        ),
    ),
)
