"""Parameters and FLOPs from plain integers; no torch.

A multiplication and an addition are two FLOPs; a backward pass costs twice its forward pass. Only
matrix products are counted, as torch's own counter does.
"""

from dataclasses import dataclass
from itertools import pairwise


@dataclass(frozen=True)
class Cost:
    """What one example costs, and how large the model is."""

    params: int  # non-embedding parameters: N
    embedding_params: int
    flops: int  # of training on one example, forward and backward

    @property
    def all_params(self) -> int:
        """Every parameter that is trained."""
        return self.params + self.embedding_params


def with_head(cost: Cost, state: int, answer: int) -> Cost:
    """The cost with an auxiliary head: one number from every state of the answer, without bias.

    Its product with one column is a sum, which torch's counter does not see; it is counted here.
    """
    return Cost(cost.params + state, cost.embedding_params, cost.flops + 3 * 2 * answer * state)


def linear(inputs: int, outputs: int) -> int:
    """Parameters of a linear map with bias."""
    return inputs * outputs + outputs


def transformer(
    *,
    encoder_layers: int,
    decoder_layers: int,
    width: int,
    feedforward: int,
    vocabulary: int,
    outputs: int,
    question: int,
    answer: int,
    position_params: int,
    position_products: int = 0,
    final_norm: bool = True,
    tied: bool = False,
    shared: bool = False,
    gated: bool = False,
) -> Cost:
    """Cost of `trainers.models.transformer`; with layers on one side only, that side reads all.

    `position_products` counts products as large as that of queries and keys, in self-attention.
    Source: counted from the architecture; as Kaplan et al. 2020, arXiv:2001.08361, table 1, up
    to biases, norms and the scored-positions-only last layer.
    """
    norm = 2 * width
    attention = linear(width, 3 * width) + linear(width, width) + norm
    mlp = linear(width, feedforward) + linear(feedforward, width) + norm
    gate = 2 * linear(width, width) if gated else 0
    crosses = encoder_layers > 0 and decoder_layers > 0
    layer = attention + mlp + gate
    sides = [(encoder_layers, layer), (decoder_layers, layer + (attention if crosses else 0))]
    params = sum(
        (1 if shared else layers) * each + (norm if final_norm else 0)
        for layers, each in sides
        if layers
    )
    params += outputs if tied else linear(width, outputs)

    square = 2 * width**2  # one map of a token from width to width
    later = square + 2 * 2 * width * feedforward + (2 * square if gated else 0)  # out, MLP, gate

    def mix(queries: int, keys: int, products: int = 0) -> int:
        # scores, what is added to them, and the weighted sum of values
        return (2 + products) * 2 * queries * keys * width

    def own(queries: int, keys: int) -> int:
        return (
            keys * 2 * square + queries * (square + later) + mix(queries, keys, position_products)
            # the last layer needs keys and values everywhere, all else at the scored places alone
        )

    if crosses:
        forward = encoder_layers * own(question, question) + decoder_layers * (
            own(answer, answer) + answer * 2 * square + mix(answer, question)
        )
        # keys and values of the question, once for each set of weights
        forward += (1 if shared else decoder_layers) * question * 2 * square
    else:
        total, layers = question + answer, encoder_layers + decoder_layers
        forward = (layers - 1) * own(total, total) + own(answer, total)
    forward += answer * 2 * width * outputs
    return Cost(
        params=params,
        embedding_params=vocabulary * width + position_params,
        flops=3 * forward,
    )


def mlp(*, inputs: int, hidden: tuple[int, ...], outputs: int) -> Cost:
    """Cost of `trainers.models.mlp`."""
    sizes = (inputs, *hidden, outputs)
    pairs = list(pairwise(sizes))
    forward = sum(2 * before * after for before, after in pairs)
    into_inputs = 2 * sizes[0] * sizes[1]  # no gradient is taken with respect to the data
    return Cost(
        params=sum(linear(before, after) for before, after in pairs),
        embedding_params=0,
        flops=3 * forward - into_inputs,
    )


def two_maps(*, inputs: int, width: int, outputs: int) -> Cost:
    """Cost of `trainers.models.ntk_mlp`: two linear maps without biases."""
    into, out = inputs * width, width * outputs
    # no gradient is taken with respect to the data
    return Cost(params=into + out, embedding_params=0, flops=2 * (2 * into + 3 * out))


def autoencoder(*, inputs: int, width: int) -> Cost:
    """Cost of `trainers.models.autoencoder`, whose one matrix is used twice."""
    product = 2 * inputs * width
    return Cost(
        params=inputs * width + inputs,
        embedding_params=0,
        flops=5 * product,  # two forward; the gradients of both uses and of the bottleneck
    )


def random_features(*, inputs: int, features: int, outputs: int) -> Cost:
    """Cost of `trainers.models.random_features`; fixed projections count as an embedding."""
    readout = 2 * features * outputs
    return Cost(
        params=features * outputs,
        embedding_params=inputs * features,
        flops=2 * inputs * features + 2 * readout,
    )


def classifier(
    *,
    vocabulary: int,
    question: int,
    answer: int,
    embed: int | None,
    first: int,
    hidden: tuple[int, ...],
    biases: bool,
) -> Cost:
    """Cost of `trainers.models.classifier`; `first` inputs reach the first layer.

    A one-hot input is a look-up in the first layer, and no product.
    """
    pairs = list(pairwise((first, *hidden)))
    outputs = answer * vocabulary
    products = sum(2 * before * after for before, after in pairs[embed is None :])
    products += 2 * hidden[-1] * outputs
    weights = sum(before * after for before, after in pairs) + hidden[-1] * outputs
    tables = 0 if embed is None else question * vocabulary * embed
    return Cost(
        params=weights + biases * (sum(hidden) + outputs),
        embedding_params=tables,
        flops=3 * products,
    )


def recurrent(
    *,
    gates: int,
    mixes: bool,
    extra_biases: int,
    layers: int,
    width: int,
    embed: int | None,
    vocabulary: int,
    outputs: int,
    steps: int,
    answer: int,
) -> Cost:
    """Cost of `trainers.models.recurrent` over this many steps of question and answer.

    `gates` maps of the input each give `width` numbers; where the cell `mixes`, as many maps of the
    state are added. A one-hot input is a look-up in the first layer, and no product.
    """
    sizes = [embed or vocabulary] + [width] * (layers - 1)
    state = gates * width * width if mixes else 0
    params = sum(gates * size * width + state + gates * width + extra_biases for size in sizes)
    looked_up = 0 if embed else sizes[0]
    inputs = sum(sizes) - looked_up
    forward = steps * 2 * (gates * width * inputs + layers * state) + answer * 2 * width * outputs
    return Cost(
        params=params + linear(width, outputs),
        embedding_params=vocabulary * embed if embed else 0,
        # the first state is no function of the weights, so no gradient is taken with respect to it
        flops=3 * forward - layers * 2 * state,
    )
