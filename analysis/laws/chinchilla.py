"""Loss as a function of model size and of the tokens it was trained on.

The usual law for language models: E is what no model or data of this kind removes, A / N^alpha what the
size leaves and B / D^beta what the data leave, all in the unit of the loss. A and B move by powers of
ten with tiny changes of the exponents, so compare predictions, exponents and best sizes, never A and B.
With tokens in proportion to parameters (D = 20 N, say) the two exponents cannot be told apart; with few
large runs E and the exponents trade off. Count the parameters the same way in all rows, leave out
points in the middle of a decaying schedule, and use `data_constrained` where data repeat.
"""

from analysis.law import Coefficient, Input, Law

LAW = Law(
    name="chinchilla",
    formula="loss = E + A / params^alpha + B / tokens^beta",
    source="Hoffmann et al. 2022, arXiv:2203.15556, equation 2",
    inputs=(
        Input("params", "N, non-embedding parameters", levels=3),
        Input("tokens", "D, training tokens", levels=3),
    ),
    coefficients=(
        Coefficient("E", "irreducible loss, in the unit of the loss", low=0.0),
        Coefficient("A", "loss that size removes, at N = 1", low=0.0),
        Coefficient("B", "loss that data removes, at D = 1", low=0.0),
        Coefficient("alpha", "size exponent", low=0.01, high=2.0, starts=(0.02, 1.9)),
        Coefficient("beta", "data exponent", low=0.01, high=2.0, starts=(0.02, 1.9)),
    ),
)
