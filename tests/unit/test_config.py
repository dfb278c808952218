import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.trials import gcd_fields, gcd_trial, square_fields
from trainers.config import TrialConfig, trial_config
from trainers.data import tasks
from trainers.data.task import Task
from trainers.plugins import kinds
from trainers.schema import InputError

FROZEN_KEY = "878d54faf3b71cb292ed"
TRANSFORMER = {"kind": "transformer", "width": 16, "heads": 2}


def changed(place: str, value: Any, fields: dict[str, Any] | None = None) -> dict[str, Any]:
    """`gcd_fields` with the value at a dotted place."""
    whole = gcd_fields() if fields is None else fields
    *above, last = place.split(".")
    inside = whole
    for name in above:
        inside[name] = dict(inside.get(name, {}))
        inside = inside[name]
    inside[last] = value
    return whole


def test_the_key_of_a_config_is_that_of_these_numerics() -> None:
    """If this fails, every stored trial has lost its name: raise NUMERICS, or restore the key."""
    assert gcd_trial().key() == FROZEN_KEY


def test_the_key_does_not_depend_on_the_order_of_fields() -> None:
    def reversed_order(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: reversed_order(value[name]) for name in reversed(value)}
        return value

    assert trial_config(reversed_order(gcd_fields())).key() == gcd_trial().key()


SPELLINGS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    (changed("optimizer.lr", 1), changed("optimizer.lr", 1.0)),
    (changed("optimizer.clip", 5), changed("optimizer.clip", 5.0)),
    (changed("data.corrupt", 0), gcd_fields()),
    (changed("data.corrupt", -0.0), gcd_fields()),
    (changed("seed", 0), gcd_fields()),
    (changed("data", {}), gcd_fields()),
    (changed("data.distinct", None), gcd_fields()),
    (changed("optimizer.beta1", 0.9), gcd_fields()),
    (changed("model.position", {"kind": "learned"}), gcd_fields()),
    (changed("model.encoder_layers", 1), gcd_fields()),
    (changed("budget.examples", None), gcd_fields()),
    (changed("evaluation.last_examples", None), gcd_fields()),
    (changed("data.order", "draw"), gcd_fields()),
    (
        changed("data.prime", {"count": 2, "share": 0.1, "task": {"largest": 50}}),
        changed("data.prime", {"count": 2, "share": 0.1, "task": {"largest": 50, "top_class": 5}}),
    ),
    (
        square_fields(data={"prime": {"count": 2, "share": 0.1, "task": {"reach": 3}}}),
        square_fields(data={"prime": {"count": 2, "share": 0.1, "task": {"reach": 3.0}}}),
    ),
]


@pytest.mark.parametrize(("one", "other"), SPELLINGS)
def test_two_spellings_of_a_trial_have_one_key(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert trial_config(one).key() == trial_config(other).key()


DECIDING: list[tuple[str, Any]] = [
    ("task.largest", 998),
    ("task.top_class", 4),
    ("task.operands", "log_uniform"),
    ("task.outcomes", {"exponent": 1.0}),
    ("task.outcomes", {"exponent": 1.0, "share": 0.05}),
    ("task", {"kind": "modular", "largest": 999}),
    ("encoding.base", 11),
    ("encoding.order", "least"),
    ("encoding.width", "fixed"),
    ("encoding", {"kind": "digits", "base": 10, "width": "fixed", "sign": "none"}),
    ("encoding", {"kind": "characters"}),
    ("answer_encoding", {"kind": "digits", "base": 1_000}),
    ("data.distinct", 50),
    ("data.corrupt", 0.1),
    ("data.hot", {"size": 5, "share": 0.5}),
    ("data.hot", {"size": 5, "share": 0.6}),
    ("data.hot", {"size": 6, "share": 0.5}),
    ("data.prime", {"count": 2, "share": 0.1, "task": {"largest": 50}}),
    ("data.prime", {"count": 2, "share": 0.1, "task": {"largest": 51}}),
    ("data.prime", {"count": 3, "share": 0.1, "task": {"largest": 50}}),
    ("data.prime", {"count": 2, "share": 0.2, "task": {"largest": 50}}),
    ("data", {"distinct": 50, "order": "cycle"}),
    ("data", {"mixture": [{"task": {"largest": 50}, "share": 0.5}], "tagged": False}),
    ("data", {"mixture": [{"task": {"largest": 50}, "share": 0.4}]}),
    ("data", {"mixture": [{"task": {"largest": 60}, "share": 0.5}]}),
    ("data", {"mixture": [{"task": {"largest": 50}, "share": 0.5}], "tagged": True}),
    ("data", {"mixture": [{"task": {"kind": "modular"}, "share": 0.5}], "tagged": True}),
    ("loss", "squared_error"),
    ("auxiliary", {"weight": 1.0}),
    ("auxiliary", {"weight": 2.0}),
    ("evaluate", {"large": {"task": {"largest": 50_000}}}),
    ("evaluate", {"large": {"task": {"largest": 60_000}}}),
    ("evaluate", {"other": {"task": {"largest": 50_000}}}),
    ("model.encoder_layers", 2),
    ("model.encoder_layers", 0),
    ("model.decoder_layers", 2),
    ("model.width", 32),
    ("model.heads", 4),
    ("model.feedforward", 2),
    ("model.activation", "relu"),
    ("model.norm", "post"),
    ("model.tied_embeddings", True),
    ("model.shared_layers", True),
    ("model.gated", True),
    ("model.start", "uniform"),
    ("model.parametrisation", {"kind": "mup", "base_width": 8}),
    ("model.parametrisation", {"kind": "mup", "base_width": 4}),
    ("model.position", {"kind": "none"}),
    ("model.position", {"kind": "rope"}),
    ("model.position", {"kind": "rope", "base": 500.0}),
    ("optimizer.kind", "adamw"),
    ("optimizer.lr", 2e-3),
    ("optimizer.lr", math.nextafter(1e-3, 1)),
    ("optimizer.beta1", 0.8),
    ("optimizer.beta2", 0.8),
    ("optimizer.epsilon", 1e-7),
    ("optimizer.warmup_steps", 5),
    ("optimizer.schedule", "cosine"),
    ("optimizer.final_share", 0.1),
    ("optimizer.clip", 1.0),
    ("optimizer", {"kind": "adam", "lr": 1e-3, "schedule": "wsd_linear", "decay_share": 0.2}),
    ("optimizer", {"kind": "adam", "lr": 1e-3, "schedule": "wsd_linear", "decay_share": 0.3}),
    ("optimizer", {"kind": "sgd", "lr": 1e-3}),
    ("optimizer", {"kind": "sgd", "lr": 1e-3, "momentum": 0.9}),
    ("optimizer", {"kind": "adamw", "lr": 1e-3, "weight_decay": 0.0}),
    ("batch_size", 9),
    ("budget", {"steps": 13}),
    ("budget", {"examples": 3_000}),
    ("evaluation.points", 4),
    ("evaluation.examples", 41),
    ("evaluation.last_examples", 41),
    ("evaluation.class_examples", 5),
    ("evaluation.judged_examples", 5),
    ("evaluation.training_examples", 5),
    ("evaluation.by_place", True),
    ("precision", "bfloat16"),
    ("seed", 1),
    ("seed", 2**63 - 1),
]


def test_every_field_that_decides_gives_another_key() -> None:
    trials = [gcd_trial(), *(trial_config(changed(*change)) for change in DECIDING)]
    assert len({trial.key() for trial in trials}) == len(trials)
    assert all(len(trial.key()) == 20 and int(trial.key(), 16) >= 0 for trial in trials)


def test_every_field_of_a_trial_is_among_those_that_decide() -> None:
    """A field that is added has to be tried above as well."""

    def places(value: Any, before: str = "") -> set[str]:
        fields = type(value).model_fields
        found: set[str] = set()
        for name in fields:
            inside = getattr(value, name)
            below = hasattr(type(inside), "model_fields")
            found |= places(inside, f"{before}{name}.") if below else {f"{before}{name}"}
        return found

    def given(place: str, value: Any) -> set[str]:
        if isinstance(value, dict):
            inside = {each for name in value for each in given(f"{place}.{name}", value[name])}
            return {place, *inside}
        return {place}

    tried = {each for change in DECIDING for each in given(*change)}
    kinds = {place for place in places(gcd_trial()) if place.endswith("kind")}
    wanted = places(gcd_trial()) - kinds - {"data.hot", "data.prime", "evaluation.prune"}
    assert wanted <= tried


def test_a_key_survives_the_round_trip_through_json() -> None:
    for change in DECIDING:
        trial = trial_config(changed(*change))
        again = trial_config(trial.model_dump(mode="json"))
        assert (again.key(), again) == (trial.key(), trial)


def test_trials_that_differ_in_what_a_pack_holds_for_each_stack() -> None:
    own = {"seed", "budget", "optimizer", "data.distinct", "data.corrupt", "data.hot", "data"}
    for place, value in DECIDING:
        stacks = trial_config(changed(place, value)).stacks_with() == gcd_trial().stacks_with()
        apart = any(word in str(value) for word in ("adamw", "sgd", "cycle", "mixture"))
        expected = (place in own or place.startswith("optimizer.")) and not apart
        assert stacks == expected, place


HUGE = 10**30
KINDS = ", ".join(kinds(tasks, Task))
BAD: list[tuple[dict[str, Any], str]] = [
    (changed("encoding.base", 1), "encoding.base"),
    (changed("encoding.base", 100_001), "encoding.base"),
    (changed("encoding.base", -10), "encoding.base"),
    (changed("encoding.base", "10"), "encoding.base"),
    (changed("encoding.base", 10.5), "encoding.base"),
    (changed("encoding.base", True), "encoding.base"),
    (changed("encoding.base", None), "encoding.base"),
    (changed("encoding.base", [10]), "encoding.base"),
    (changed("encoding.bsae", 10), "encoding.bsae"),
    (changed("encoding.kind", "digit"), "encoding.kind"),
    (changed("encoding", None), "encoding"),
    (changed("encoding", "digits"), "encoding"),
    (changed("task.largest", 1), "task.largest"),
    (changed("task.largest", HUGE), "task.largest"),
    (changed("task.largest", -5), "task.largest"),
    (changed("task.larges", 5), "task.larges"),
    (changed("task.kind", "gdc"), "task.kind"),
    (changed("task.kind", 3), "task.kind"),
    (changed("task", {"largest": 5}), "task.kind"),
    (changed("task", []), "task"),
    (changed("task", None), "task"),
    (changed("model.width", 0), "model.width"),
    (changed("model.width", 17), "width"),
    (changed("model.heads", 3), "heads"),
    (changed("model.heads", 0), "model.heads"),
    (changed("model.kind", "transfromer"), "model.kind"),
    (changed("model.position", {"kind": "sine"}), "model.position.kind"),
    (changed("model.position", {"kind": "rope", "base": 1.0}), "model.position.base"),
    (changed("model", {**TRANSFORMER, "heads": 16, "position": {"kind": "rope"}}), "rope"),
    (changed("model", {"kind": "mlp", "width": 4}), "tokens"),
    (changed("model", {"kind": "mlp"}), "model.width"),
    (changed("optimizer.lr", 0), "optimizer.lr"),
    (changed("optimizer.lr", -1e-3), "optimizer.lr"),
    (changed("optimizer.lr", "1e-3"), "optimizer.lr"),
    (changed("optimizer.lr", math.nan), "optimizer.lr"),
    (changed("optimizer.lr", math.inf), "optimizer.lr"),
    (changed("optimizer.lr", True), "optimizer.lr"),
    (changed("optimizer.beta1", 1.0), "optimizer.beta1"),
    (changed("optimizer.clip", 0), "optimizer.clip"),
    (changed("optimizer.schedule", "stairs"), "optimizer.schedule"),
    (changed("optimizer.schedule", "wsd_linear"), "decay_share"),
    (changed("optimizer.schedule", "inverse_sqrt"), "warmup_steps"),
    (changed("optimizer.weight_decay", 0.1), "optimizer.weight_decay"),
    (changed("optimizer.warmup_steps", -1), "optimizer.warmup_steps"),
    (changed("batch_size", 0), "batch_size"),
    (changed("batch_size", -8), "batch_size"),
    (changed("batch_size", 8.0), "batch_size"),
    (changed("batch_size", "8"), "batch_size"),
    (changed("budget", {}), "budget"),
    (changed("budget", {"steps": 5, "examples": 5}), "budget"),
    (changed("budget", {"steps": 0}), "budget.steps"),
    (changed("budget", {"steps": HUGE}), "budget.steps"),
    (changed("budget", {"epochs": 3}), "budget.epochs"),
    (changed("budget", {"steps": 2}), "points"),
    (changed("evaluation.points", 0), "evaluation.points"),
    (changed("evaluation.examples", -1), "evaluation.examples"),
    (changed("seed", -1), "seed"),
    (changed("seed", 2**63), "seed"),
    (changed("seed", 0.5), "seed"),
    (changed("data.distinct", 0), "data.distinct"),
    (changed("data.corrupt", 1.5), "data.corrupt"),
    (changed("data.order", "random"), "data.order"),
    (changed("data", {"order": "cycle"}), "cycle"),
    (changed("data", {"distinct": 5, "hot": {"size": 9, "share": 0.5}}), "hot.size"),
    (changed("data", {"hot": {"size": 9}}), "data.hot.share"),
    (changed("data", {"hot": {"size": 9, "share": 1.0}}), "data.hot.share"),
    (changed("data", {"prime": {"count": 3, "task": {"largest": 5}}}), "prime.share"),
    (
        changed("data", {"prime": {"count": 3, "share": 0.1, "task": {"largest": 1}}}),
        "data.prime.task.largest",
    ),
    (
        changed("data", {"prime": {"count": 3, "share": 0.1, "task": {"digits": 35}}}),
        "data.prime.task.digits",
    ),
    (
        changed("data", {"prime": {"count": 3, "share": 0.1, "task": {"kind": "moduler"}}}),
        "data.prime.task.kind",
    ),
    (changed("data", {"prime": {"count": 3, "share": 0.1, "task": {}}}), "data.prime.task"),
    (
        changed("data", {"mixture": [{"task": {"largest": 1}, "share": 0.1}]}),
        "data.mixture[0].task",
    ),
    (changed("data", {"mixture": [{"task": {"largest": 5}, "share": 1.0}]}), "mixture[0].share"),
    (changed("data", {"mixture": [{"task": {"largest": 5}, "share": 0.5}] * 2}), "mixture"),
    (changed("data", {"mixture": [{"task": {"kind": "square"}, "share": 0.5}]}), "square"),
    (changed("data.tagged", True), "tagged"),
    (changed("evaluate", {"large": {"task": {"largest": 0}}}), "evaluate.large.task.largest"),
    (changed("evaluate", {"large": {"task": {}}}), "evaluate.large.task"),
    (changed("evaluate", {"large": {"task": {"kind": "square"}}}), "square"),
    (changed("evaluate", {"train": {"task": {"largest": 5}}}), "evaluate.train"),
    (changed("evaluate", {"UPPER": {"task": {"largest": 5}}}), "evaluate.UPPER"),
    (changed("evaluation.prune", [0.5]), "pruned"),
    (changed("loss", "hinge"), "loss"),
    (changed("auxiliary", {"weight": 0}), "auxiliary.weight"),
    (square_fields(loss="cross_entropy"), "cross_entropy"),
    (square_fields(auxiliary={"weight": 1.0}), "auxiliary"),
    (square_fields(evaluation={"points": 1, "by_place": True}), "by_place"),
    (changed("lr", 1e-3), "lr"),
    ({name: value for name, value in gcd_fields().items() if name != "budget"}, "budget"),
    ({name: value for name, value in gcd_fields().items() if name != "model"}, "model"),
    ({}, "task"),
    (square_fields(encoding={"kind": "digits"}), "encoding"),
    (square_fields(model=TRANSFORMER), "numbers"),
    (square_fields(task={"kind": "square", "reach": -1}), "task.reach"),
    (square_fields(task={"kind": "square", "reach": math.inf}), "task.reach"),
]


@pytest.mark.parametrize(("fields", "named"), BAD)
def test_a_bad_trial_gives_one_line_that_names_the_field(
    fields: dict[str, Any], named: str
) -> None:
    with pytest.raises(InputError) as caught:
        trial_config(fields)
    message = str(caught.value)
    assert named in message
    assert "\n" not in message
    assert len(message) < 300
    assert "pydantic" not in message


def test_a_message_says_what_was_expected_and_what_came() -> None:
    for fields, message in [
        (changed("encoding.base", 1), "encoding.base: expected greater than or equal to 2, got 1"),
        (changed("task.kind", "gdc"), f"task.kind: expected one of {KINDS}, got 'gdc'"),
        (changed("task.larges", 5), "task.larges: unknown field"),
        (changed("optimizer.lr", "1e-3"), "optimizer.lr: expected a valid number, got '1e-3'"),
    ]:
        with pytest.raises(InputError) as caught:
            trial_config(fields)
        assert str(caught.value) == message


SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(-(10**40), 10**40),
    st.floats(),
    st.text(max_size=8),
    st.sampled_from(["gcd", "digits", "transformer", "mlp", "adam", "rope", "cycle", "1e-3"]),
)
NAMES = st.one_of(
    st.text(max_size=5),
    st.sampled_from(
        [*TrialConfig.model_fields, "kind", "largest", "base", "width", "steps", "hot", "prime"]
    ),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(NAMES, inner, max_size=4)),
    max_leaves=12,
)


def refusal(fields: Any) -> str | None:
    """Why these fields are no trial; None where they are one, with a key."""
    try:
        assert len(trial_config(fields).key()) == 20
    except InputError as error:
        return str(error)
    return None


@settings(max_examples=300)
@given(fields=st.dictionaries(NAMES, VALUES, max_size=6))
def test_no_mapping_raises_anything_but_an_input_error(fields: dict[str, Any]) -> None:
    message = refusal(fields)
    assert message is None or (message and "\n" not in message)


PLACES = sorted(
    {place for place, _ in DECIDING}
    | {f"{place}.{name}" for place in ("data", "data.prime") for name in ("task", "count", "hot")}
)


@settings(max_examples=400)
@given(place=st.sampled_from(PLACES), value=VALUES)
def test_no_value_at_any_place_raises_anything_but_an_input_error(place: str, value: Any) -> None:
    message = refusal(changed(place, value))
    assert message is None or (message and "\n" not in message)


@pytest.mark.parametrize(
    "value",
    [
        10**5_000,
        -(10**5_000),
        float("1e999"),
        "x" * 10_000_000,
        "\ud800",
        "line\nbreak",
        b"bytes",
        {1, 2},
        object(),
        {3: "number as a name"},
        {"line\nbreak": 1},
        {(1, 2): 3},
    ],
    ids=lambda value: type(value).__name__,
)
@pytest.mark.parametrize("place", ["seed", "task", "data.prime", "optimizer.lr", "line\nbreak"])
def test_what_no_file_should_hold_gives_one_line(place: str, value: Any) -> None:
    with pytest.raises(InputError) as caught:
        trial_config(changed(place, value))
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300


def test_any_depth_gives_one_line() -> None:
    for depth in (100, 5_000, 100_000):
        value: Any = 1
        for _ in range(depth):
            value = [value]
        with pytest.raises(InputError) as caught:
            trial_config(changed("seed", value))
        assert "\n" not in str(caught.value)
        assert len(str(caught.value)) < 300


def test_a_priming_task_may_be_larger_and_lengthens_every_sequence() -> None:
    plain = gcd_trial()
    prime = {"count": 2, "share": 0.1, "task": {"largest": 999_999}}
    longer = gcd_trial(data={"prime": prime})
    assert longer.tokens_of_example() == plain.tokens_of_example() + 9


def test_a_config_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="frozen"):
        gcd_trial().seed = 3  # type: ignore[misc]
