"""Loss as a function of model size, steps and batch size, with endless data.

Steps count as S / (1 + critical / batch): those that a very large batch would have needed. Kaplan et
al. let the critical batch grow as the loss L falls, as B / L^(1 / alpha_B). L stands on the left of
this formula, so `critical` is one number here, the critical batch at the losses of the sweep, in the
unit of the batch; A and S are in the unit of the loss. Where these losses differ much, fit
`critical_batch_scale` first. Published: alpha_N = 0.077, alpha_S = 0.76. Points of one run are not
independent (name the run as the cluster), and those under a decaying learning rate lie above what a run
of that length would have reached.
"""

from analysis.law import Coefficient, Input, Law

LAW = Law(
    name="kaplan_steps",
    formula="loss = A / params^alpha_N + S / (steps / (1 + critical / batch))^alpha_S",
    source="Kaplan et al. 2020, arXiv:2001.08361, equations 1.6, 5.1 and 5.2",
    inputs=(
        Input("params", "N, non-embedding parameters", levels=3),
        Input("steps", "S, updates of the model", levels=3),
        Input("batch", "B, tokens or examples per step", levels=2),
    ),
    coefficients=(
        Coefficient("A", "loss that size removes, at N = 1", low=0.0),
        Coefficient("S", "loss that steps remove, at one step of a large batch", low=0.0),
        Coefficient("alpha_N", "size exponent", low=0.01, high=2.0, starts=(0.02, 1.9)),
        Coefficient("alpha_S", "step exponent", low=0.01, high=3.0, starts=(0.05, 2.0)),
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
