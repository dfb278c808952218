"""Accuracy on a task as a sigmoid of the loss, between guessing and the best that can be had.

The second step of a forecast of a task: size and data give the loss, the loss gives the accuracy. lo
and hi are in the unit of the accuracy (shares or percent), L0 has the unit of the loss, and the
source's steepness, per unit of loss, is k / L0. Fix lo to what guessing gives: where no model is at
chance it cannot be told, and hi cannot be where none is good. An accuracy that seems to jump at some
size is often smooth in the loss of the right answer; use that loss where it is known.
"""

from analysis.engine.objective import Objective
from analysis.law import Coefficient, Input, Law

LAW = Law(
    name="sigmoid",
    # The source's steepness, per unit of loss, is k / L0; k itself fits a table in any unit.
    formula="accuracy = lo + (hi - lo) * logistic(k * (1 - loss / L0))",
    source="Bhagia et al. 2024, arXiv:2412.04403, second step",
    inputs=(Input("loss", "loss on the task or on text, in any unit", levels=4),),
    coefficients=(
        # Up to 100, so that accuracy may come in percent as well.
        Coefficient("lo", "accuracy of guessing, in its unit", low=0.0, high=100.0),
        Coefficient("hi", "highest accuracy, in its unit", low=0.0, high=100.0),
        Coefficient("k", "steepness, per share of L0", 0.01, 1e4, starts=(0.3, 100.0), log=True),
        Coefficient(
            "L0", "loss half-way", low=0.01, high=100.0, starts=(0.2, 5.0), log=True, of="loss"
        ),
    ),
    # One point in a hundred: beyond it a task's accuracy counts as an outlier.
    objective=Objective(kind="huber", residual="plain", delta=0.01),
)
