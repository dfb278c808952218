"""Loss as a function of the parameters of the vocabulary, the other parameters and data.

The loss is that over a unigram model, so that vocabularies can be compared; it may be negative. Use it
to choose the size of a vocabulary: A, V, B and E are in nats per token of that loss, alpha, gamma and
beta are exponents, the parameters of the vocabulary are its size times the width, and tokens should
count the same text in every row (or characters, as longer vocabularies make fewer tokens). Vocabulary
and width grow together in most sweeps: vary one at a fixed other, or the terms of size cannot be told
apart.
"""

from analysis.engine.objective import Objective
from analysis.law import Coefficient, Input, Law

LAW = Law(
    name="vocabulary",
    formula="loss = A / params^alpha + V / vocabulary_params^gamma + B / tokens^beta - E",
    source="Tao et al. 2024, arXiv:2407.13623",
    inputs=(
        Input("params", "parameters outside of the vocabulary", levels=3),
        Input("vocabulary_params", "parameters of the vocabulary", levels=3),
        Input("tokens", "D, training tokens", levels=3),
    ),
    coefficients=(
        Coefficient("E", "how far below a unigram model the loss can fall", low=0.0),
        Coefficient("A", "loss that size removes, at N = 1", low=0.0),
        Coefficient("V", "loss that the vocabulary removes, at one parameter", low=0.0),
        Coefficient("B", "loss that data removes, at D = 1", low=0.0),
        Coefficient("alpha", "size exponent", low=0.01, high=2.0, starts=(0.02, 1.9)),
        Coefficient("gamma", "vocabulary exponent", low=0.01, high=2.0, starts=(0.02, 1.9)),
        Coefficient("beta", "data exponent", low=0.01, high=2.0, starts=(0.02, 1.9)),
    ),
    objective=Objective(residual="plain"),
)
