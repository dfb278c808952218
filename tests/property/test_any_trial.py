"""Whatever fields a trial is given: one clear line of refusal, or a trial that plans and trains."""

import math
import time
from functools import cache
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from tests.offers import ENCODINGS, MODELS, OPTIMIZERS, TASKS, Fields, bounds, task_fields
from trainers.config import Evaluation, TrialConfig, trial_config
from trainers.data.encoding import IntegerEncoding, RealEncoding, SymbolEncoding
from trainers.data.sampling import Data
from trainers.data.task import IntegerTask, RealTask, SymbolTask, TokenTask
from trainers.engine.pack import Start
from trainers.loop import train
from trainers.models.model import NumberModel, TokenModel
from trainers.models.stack import Layout
from trainers.result import Ended, Reported
from trainers.schema import InputError

JUNK = st.sampled_from(
    [None, True, -1, 0, 1.5, 10**30, -1e308, "", "x", "10", [], {}, [1], {"kind": "x"}, [[1, 2], 3]]
)
GROUPS = st.sampled_from(["S3", "C5", "D4", "A4", "C2xC3", "S6", "C1", "S7", "Q8", "C1000x", ""])
REGIMES: list[Fields] = [
    {"distinct": 7, "order": "cycle"},
    {"distinct": 9, "hot": {"size": 2, "share": 0.5}, "corrupt": 0.5},
    {"mixture": [{"task": {"kind": "lcm"}, "share": 0.5}], "tagged": True},
    {"mixture": [{"task": {"kind": "parity"}, "share": 0.3}], "corrupt": 0.2},
    {"prime": {"count": 3, "task": {"kind": "parity"}, "share": 0.5}},
]
PLANNED_S = 5.0  # no trial may take longer to plan, on a busy machine


def seldom(percent: int) -> st.SearchStrategy[bool]:
    """True so often; the ends of a range, which are drawn far more often, are among the others."""
    return st.integers(0, 99).map(lambda number: 40 <= number < 40 + percent)


def numbers(kind: type, low: Any, high: Any) -> st.SearchStrategy[Any]:
    """Mostly small numbers within the bounds; sometimes one at a bound, beside it, or far away."""
    least = (0 if low is None else low) if kind is int else (1e-9 if low is None else low)
    most = 10**6 if high is None else high
    if kind is int:
        near = st.integers(least, min(least + 12, int(most)))
        edges = st.sampled_from([least - 1, least, int(most), int(most) + 1])
        edges |= st.integers(least, int(most))
        return seldom(4).flatmap(lambda yes: edges if yes else near)
    near = st.floats(least + 1e-6, min(float(most), max(4.0, least + 4.0)) - 1e-6)
    edges = st.sampled_from([least, float(most), -1.0, 0.0, 1e-300, 1e300])
    return seldom(4).flatmap(lambda yes: edges if yes else near)


def values(annotation: Any, metadata: list[Any]) -> st.SearchStrategy[Any]:
    """Plain values for a field with this annotation, nearly all of them of the right sort."""
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return values(inner[0], [*metadata, *inner[1:]])
    if origin is Literal:
        return st.sampled_from(inner)
    if origin in (Union, UnionType):
        return st.one_of([values(one, metadata) for one in inner])
    if annotation is None or annotation is type(None):
        return st.none()
    if annotation is bool:
        return st.booleans()
    if annotation in (int, float):
        return numbers(annotation, *bounds(metadata))
    if annotation is str:
        return GROUPS
    if origin is tuple and inner[-1] is Ellipsis:
        return st.lists(values(inner[0], []), max_size=4)
    if origin is tuple:
        return st.tuples(*(values(one, []) for one in inner)).map(list)
    if origin is dict:
        return st.sampled_from(task_fields())
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return of_kind(annotation)
    return JUNK


@cache
def of_kind(kind: type[BaseModel], percent: int = 20) -> st.SearchStrategy[Fields]:
    """Fields for a class: all that are required, and so many percent of the others."""
    members = kind.model_fields.items()
    drawn = {name: value_of(field) for name, field in members if name != "kind"}

    @st.composite
    def fields(draw: st.DrawFn) -> Fields:
        found: Fields = {}
        for name, field in members:
            if name == "kind":
                found[name] = field.default
            elif field.is_required() or draw(seldom(percent)):
                found[name] = draw(drawn[name])
        return found

    return fields().map(divisible)


def divisible(fields: Fields) -> Fields:
    """With a width that its heads divide, three times of four."""
    width, heads = fields.get("width"), fields.get("heads", 4)
    if type(width) is int and type(heads) is int and 0 < width * heads < 200 and width % 4:
        return {**fields, "width": width * heads}
    return fields


def value_of(field: FieldInfo) -> st.SearchStrategy[Any]:
    right = values(field.annotation, field.metadata)
    return seldom(1).flatmap(lambda yes: JUNK if yes else right)


def one_of_folder(folder: dict[str, type[Any]]) -> st.SearchStrategy[Fields]:
    return st.sampled_from(sorted(folder)).flatmap(lambda name: of_kind(folder[name]))


def writers(task: type[Any]) -> st.SearchStrategy[Fields | None]:
    """The encodings that may write a task; None where it is about numbers."""
    families = {
        IntegerTask: (IntegerEncoding, SymbolEncoding),
        RealTask: (RealEncoding,),
        SymbolTask: (SymbolEncoding,),
    }
    fitting = next((found for kind, found in families.items() if issubclass(task, kind)), None)
    if fitting is None:
        return st.none()
    return one_of_folder({k: one for k, one in ENCODINGS.items() if issubclass(one, fitting)})


@st.composite
def trials(draw: st.DrawFn) -> Fields:
    """Fields of a trial over everything that the folders offer."""
    small = {"points": draw(st.integers(1, 2)), "examples": 5, "class_examples": 1}
    tasks = st.one_of(st.sampled_from(task_fields()), one_of_folder(TASKS))
    task = draw(tasks)
    of_tokens = issubclass(TASKS[task["kind"]], TokenTask)
    if draw(seldom(5)):  # what fits may be something else
        written, models = one_of_folder(ENCODINGS) | st.none(), one_of_folder(MODELS)
    else:
        family = TokenModel if of_tokens else NumberModel
        models = one_of_folder({k: one for k, one in MODELS.items() if issubclass(one, family)})
        written = writers(TASKS[task["kind"]])
    fields: Fields = {
        "task": task,
        "encoding": draw(written),
        "model": draw(models),
        "optimizer": draw(one_of_folder(OPTIMIZERS)),
        "batch_size": draw(st.integers(1, 6)),
        "budget": {"steps": draw(st.integers(2, 3))},
        "evaluation": {**draw(of_kind(Evaluation, 10)), **small, "judged_examples": 2},
    }
    if draw(st.booleans()):
        fields["data"] = draw(of_kind(Data, 10) | st.sampled_from(REGIMES))
    if draw(seldom(25)):
        names = st.sampled_from(["longer", "x1", "y", "z", "train", "Bad Name"])
        some = st.fixed_dictionaries({"task": tasks})
        fields["evaluate"] = draw(st.dictionaries(names, some, max_size=2))
    for name, chosen in (
        ("answer_encoding", written),
        ("auxiliary", st.fixed_dictionaries({"weight": numbers(float, 0.1, 1e6)})),
        ("loss", st.sampled_from(["squared_error", "cross_entropy", None])),
        ("seed", st.integers(-1, 2**63)),
    ):
        if draw(seldom(15)):
            fields[name] = draw(chosen)
    return fields


def planned(config: TrialConfig) -> None:
    """All that a plan asks of a trial."""
    config.key()
    config.stacks_with()
    cost = config.cost()
    assert cost.flops >= 0
    assert cost.all_params == Layout(config.parameters()).used
    assert config.tokens_of_example() >= 1
    assert config.report_steps[-1] == config.steps
    assert "loss" in config.metrics()


def is_tiny(config: TrialConfig) -> bool:
    """Whether a step takes milliseconds, and no test set much longer."""
    cost, shape, evaluation = config.cost(), config.shape(), config.evaluation
    examples = max(evaluation.last_examples or 0, evaluation.training_examples, 5)
    scores = shape.numbers * getattr(shape, "outputs", 1)
    return (
        cost.flops * (config.batch_size + examples) < 3e8
        and cost.all_params < 10**6
        and scores * (config.batch_size + examples) < 3e7
        and shape.numbers < 500
        and len(evaluation.prune) < 4
    )


def holds(fields: Fields) -> bool:
    """Whether the fields are a trial; refused ones are refused in one short line."""
    began = time.monotonic()
    try:
        config = trial_config(fields)
    except InputError as error:
        refusal = str(error)
    else:
        refusal = None
    if refusal is not None:
        assert "\n" not in refusal
        assert 0 < len(refusal) < 300
        return False
    planned(config)
    assert time.monotonic() - began < PLANNED_S
    if is_tiny(config):
        trains(config)
    return True


def trains(config: TrialConfig) -> None:
    """It reports what it promises; where numbers break, it says that it diverged."""
    events = list(train([Start(config)]))
    points = [event.point for event in events if isinstance(event, Reported)]
    assert points
    for point in points:
        assert set(point.values) <= config.curves()
        assert all(isinstance(value, float) for value in point.values.values())
    (outcome,) = [event.outcome for event in events if isinstance(event, Ended)]
    broke = not all(math.isfinite(point.values["loss"]) for point in points)
    broke |= not all(math.isfinite(point.values["test_loss"]) for point in points)
    assert outcome.name == ("diverged" if broke else "finished")


CHECKS = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]


@settings(max_examples=75, suppress_health_check=CHECKS)
@given(fields=trials())
def test_any_fields_are_refused_in_one_line_or_make_a_trial_that_trains(fields: Fields) -> None:
    holds(fields)


@pytest.mark.slow
@pytest.mark.timeout(1_800)
@settings(max_examples=5_000, suppress_health_check=CHECKS, phases=[Phase.generate])
@given(fields=trials())
def test_many_more_fields_are_refused_in_one_line_or_make_a_trial_that_trains(
    fields: Fields,
) -> None:
    holds(fields)
