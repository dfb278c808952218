"""Loss of a mixture of experts as a function of size, tokens and granularity of the experts.

Granularity G says how many experts one dense layer is cut into; the law has `chinchilla` at each G,
with an amplitude a + g / G^gamma that falls to a. c, a, b and g are in the unit of the loss, gamma,
alpha and beta are exponents. Runs of one fit should share how much larger all experts together are than
the dense layer. g and gamma need three values of G at least, of which one is so large that the gain has
levelled off; otherwise they trade off with a. The law says nothing of the cost of routing, which grows
with G.
"""

from analysis.law import Coefficient, Input, Law

LAW = Law(
    name="fine_grained_moe",
    formula="loss = c + (g / granularity^gamma + a) / params^alpha + b / tokens^beta",
    source="Krajewski et al. 2024, arXiv:2402.07871, equation 9",
    inputs=(
        Input("params", "N, non-embedding parameters", levels=3),
        Input("tokens", "D, training tokens", levels=3),
        Input("granularity", "G, how many experts one dense layer is cut into", levels=3),
    ),
    coefficients=(
        Coefficient("c", "irreducible loss, in the unit of the loss", low=0.0),
        Coefficient("g", "loss that granularity removes, at N = G = 1", low=0.0),
        Coefficient("a", "loss that size removes at fine granularity, at N = 1", low=0.0),
        Coefficient("b", "loss that data removes, at D = 1", low=0.0),
        Coefficient("gamma", "granularity exponent", low=0.01, high=5.0, starts=(0.05, 3.0)),
        Coefficient("alpha", "size exponent", low=0.01, high=2.0, starts=(0.02, 1.9)),
        Coefficient("beta", "data exponent", low=0.01, high=2.0, starts=(0.02, 1.9)),
    ),
)
