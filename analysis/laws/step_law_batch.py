"""The best batch size as a function of tokens; model size hardly matters.

The rows are the optima of a sweep. Published, with batches in tokens: 0.58 D^0.571. c is the best batch
at D = 1, in the unit of the batch, and beta a pure number. Take optima from a bowl through several
batches and learning rates, not the best run of a grid, which is biased by its steps; leave out, or
widen, sweeps whose optimum lies at an edge. Bowls over the batch are flat, so weight by how sure each
is.
"""

from analysis.law import Coefficient, Input, Law

LAW = Law(
    name="step_law_batch",
    formula="batch = c * tokens^beta",
    source="Li et al. 2025, arXiv:2503.04715",
    inputs=(Input("tokens", "D, training tokens", levels=2),),
    coefficients=(
        Coefficient("c", "batch size, at D = 1", low=0.0),
        Coefficient("beta", "exponent of data", low=-3.0, high=3.0, starts=(-1.0, 2.0)),
    ),
)
