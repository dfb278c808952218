"""The sweep file as frozen models: what to train, along which axes, and what its report must answer."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, ValidationError, model_validator
from pydantic_core import PydanticKnownError

from sweeps.any_axis import AnyAxis
from sweeps.axes.when import When, every_axis
from sweeps.axis import Axis, FieldPath
from sweeps.claim import Claim, CoefficientClaim, LawClaim
from sweeps.condition import Condition
from sweeps.document import Document, Place, parse, read_document
from sweeps.limits import Limits
from sweeps.names import Finite, MetricName, Name, Positive, Where, Written
from sweeps.plots import Milestone, PlotSpec, ThresholdSpec
from sweeps.search import Search
from sweeps.secrets import secret_place
from sweeps.shipped import catalog, like
from sweeps.workers import Workers
from trainers.schema import Frozen, InputError, first_problem, shown, spelled


class SpecError(InputError):
    """A sweep file that cannot be run as it stands; `place` is where in it, if that is known."""

    def __init__(self, text: str, place: Place | None = None) -> None:
        super().__init__(text)
        self.place = place


class Objective(Frozen):
    """The metric by which the sweep's trials are ranked."""

    metric: MetricName
    mode: Literal["min", "max"]


class TableSpec(Frozen):
    """One row for each combination of `rows`; each metric pooled over all other fields, with interval.

    `beside` is a metric that predicts `metrics[0]` (a theory, a baseline); `lists` are details of
    trials, such as a learned set.
    """

    title: str = Field(min_length=1, max_length=200)
    rows: tuple[FieldPath, ...] = Field(min_length=1, max_length=3)
    metrics: tuple[MetricName, ...] = Field(min_length=1, max_length=8)
    beside: MetricName | None = None
    lists: tuple[MetricName, ...] = ()
    where: Where = {}
    note: str = ""


class ContrastSpec(Frozen):
    """What changes when one field takes another value and all else is equal: paired differences."""

    title: str = Field(min_length=1, max_length=200)
    field: FieldPath
    base: Any
    metric: MetricName
    rows: tuple[FieldPath, ...] = Field(default=(), max_length=2)
    where: Where = {}
    note: str = ""


def _there(name: Any) -> Any:
    if name is None:
        raise PydanticKnownError("missing")
    return name


class FitSpec(Frozen):
    """One law fitted to the sweep's runs; with `split`, one fit for each combination of those fields.

    `inputs` says which field or metric of a run is which input of the law. `law` is a name, or a
    formula such as `loss = E + b / x^c`; `fix` and `tie` set coefficients to numbers or to others.
    `rivals` are further laws of the same inputs, ranked beside it by what they foresee of the
    largest scales.

    At each of `budgets`, in the unit of `cost` (FLOPs of 6 N D unless given), the best size and data are
    worked out, with the law's other inputs `held`; `reach` are targets whose scale is looked for, and
    `narrow` what the next runs are to tell (a coefficient, `best_size=1e22`, `reach=2.0`), for at most
    `spend` in all. With `of`, the rows of that threshold are fitted instead of runs.
    """

    name: Name
    of: MetricName | None = None
    law: str = Field(min_length=1, max_length=2_000)
    inputs: dict[str, FieldPath] = Field(min_length=1)
    metric: Annotated[MetricName, BeforeValidator(_there)] = Field(
        default_factory=lambda before: before.get("of"), validate_default=True
    )
    pool: Literal["none", "median", "mean"] = "median"
    split: tuple[FieldPath, ...] = Field(default=(), max_length=2)
    where: Where = {}
    fix: dict[str, float] = {}
    tie: dict[str, str] = {}
    objective: Literal["huber", "squares", "laplace", "student", "normal"] | None = None
    residual: Literal["log", "plain"] | None = None
    rivals: tuple[str, ...] = Field(default=(), max_length=12)
    budgets: tuple[Positive, ...] = Field(default=(), max_length=12)
    cost: str = Field(default="", max_length=500)
    held: dict[str, float] = {}
    reach: tuple[Finite, ...] = Field(default=(), max_length=12)
    narrow: tuple[Written, ...] = Field(default=(), max_length=12)
    spend: Positive | None = None
    unit: str = ""
    note: str = ""


class TuningSpec(Frozen):
    """The best value of one or two fields in every cell of `by`, through a curve and not the argmin.

    `over` are fields of `by` along which the best value is to follow a power law, `along` is one
    along which settings of the smallest cell are carried to larger ones.
    """

    name: Name
    settings: tuple[FieldPath, ...] = Field(min_length=1, max_length=2)
    by: tuple[FieldPath, ...] = Field(min_length=1, max_length=3)
    metric: MetricName
    over: tuple[FieldPath, ...] = Field(default=(), max_length=2)
    along: FieldPath | None = None
    where: Where = {}
    note: str = ""

    @model_validator(mode="after")
    def _among(self) -> "TuningSpec":
        for field in (*self.over, *([self.along] if self.along else [])):
            if field not in self.by:
                raise ValueError(f"expected {field} among by: {', '.join(self.by)}")
        return self


class IsoFlopSpec(Frozen):
    """The best size at each level of compute; `levels` (FLOPs) are found where none are given."""

    name: Name
    params: FieldPath = "params"
    tokens: FieldPath = "tokens"
    metric: MetricName
    levels: tuple[float, ...] = Field(default=(), max_length=40)
    where: Where = {}
    note: str = ""


class ReportSpec(Frozen):
    """What the report shows, beside what every report shows."""

    question: str = Field(default="", max_length=500)
    milestones: tuple[Milestone, ...] = Field(default=(), max_length=12)
    thresholds: tuple[ThresholdSpec, ...] = Field(default=(), max_length=12)
    plots: tuple[PlotSpec, ...] = Field(default=(), max_length=12)
    tables: tuple[TableSpec, ...] = ()
    contrasts: tuple[ContrastSpec, ...] = ()
    fits: tuple[FitSpec, ...] = ()
    tunings: tuple[TuningSpec, ...] = ()
    isoflops: tuple[IsoFlopSpec, ...] = ()

    @property
    def milestone_names(self) -> frozenset[str]:
        """The metrics that this report makes of curves."""
        return frozenset(one.name for one in self.milestones)


class Sweep(Frozen):
    """One sweep file. `trial` stays plain here: planning validates it with every value of the axes.

    `topic` is the row of the catalogue that it belongs to, and `tried` says what was tried before the
    numbers in it were fixed.
    """

    name: Name
    topic: str = Field(default="", max_length=80)
    about: str = Field(default="", max_length=2_000)
    source: str = Field(default="", max_length=300)
    tried: str = Field(default="", max_length=4_000)
    trial: dict[str, Any]
    axes: tuple[AnyAxis, ...] = ()
    exclude: tuple[Condition, ...] = Field(default=(), max_length=1_000)
    budget: Limits = Limits()
    replicates: int = Field(default=1, ge=1, le=100_000)
    search: Search | None = None
    workers: Workers = Workers()
    objective: Objective
    report: ReportSpec = ReportSpec()
    claims: tuple[Claim, ...] = ()

    @model_validator(mode="after")
    def _consistent(self) -> "Sweep":
        # where axes exist only for some trials, planning sees whether two of them meet
        always = [axis for axis in self.axes if not isinstance(axis, When)]
        fields = [field for axis in always for field in axis.may_set()]
        twice = sorted({field for field in fields if fields.count(field) > 1})
        if twice:
            raise ValueError(f"expected each field on one axis, got {twice[0]} on two")
        if any("seed" in axis.may_set() for axis in self.axes):
            raise ValueError("expected replicates instead of an axis over seed")
        names = [fit.name for fit in self.report.fits]
        if len(set(names)) != len(names):
            raise ValueError("expected each fit to have a name of its own")
        for claim in self.claims:
            if isinstance(claim, CoefficientClaim | LawClaim):
                _check_fitted(claim, self.report.fits)
        return self

    def single_axes(self) -> tuple[Axis, ...]:
        """The axes in the order of the file, those that a condition holds among them."""
        return tuple(every_axis(self.axes))


def load(name_or_path: str, changes: Sequence[str] = ()) -> Sweep:
    """Read a sweep by its path, or by its name in the catalogue, and apply `--set field=value` changes.

    Raises:
        SpecError: the file or a change is not a valid sweep.
    """
    document = read_document(_find(name_or_path))
    value = document.value
    if not isinstance(value, dict):
        raise SpecError(f"{document.name}:1: expected a mapping with name, trial and objective")
    for change in changes:
        value = _changed(value, change)
    secret = secret_place(value)
    if secret is not None:
        raise SpecError(
            f"{document.where(secret)}: {spelled(secret)}: expected no password and no token, all of"
            " the file is stored and published with the results; got a text that holds one"
        )
    return validated(value, document)


def located(name_or_path: str, error: SpecError) -> SpecError:
    """The error with the file and line it is about."""
    if error.place is None:
        return error
    return SpecError(f"{read_document(_find(name_or_path)).where(error.place)}: {error}")


def validated(value: Mapping[str, Any], document: Document) -> Sweep:
    """A plain mapping as a `Sweep`; messages point into `document`.

    Raises:
        SpecError: the mapping is not a sweep.
    """
    try:
        return Sweep.model_validate_json(json.dumps(value))
    except ValidationError as error:
        place, words = first_problem(error, value)
        raise SpecError(f"{document.where(place)}: {spelled(place) or 'sweep'}: {words}") from error
    except ValueError as error:  # an integer too long for JSON, say
        raise SpecError(f"{document.name}:1: {error}") from error


def resolved_text(sweep: Sweep) -> str:
    """The sweep as JSON with every default filled in: what is stored beside its results."""
    return sweep.model_dump_json(indent=2) + "\n"


def from_resolved(text: str) -> Sweep:
    """The inverse of `resolved_text`.

    Raises:
        SpecError: the text is not a stored sweep.
    """
    try:
        return Sweep.model_validate_json(text)
    except ValidationError as error:
        place, words = first_problem(error, None)
        raise SpecError(f"stored sweep: {spelled(place)}: {words}") from error


def _find(name_or_path: str) -> Path:
    path = Path(name_or_path)
    shipped = {file.stem: file for file in catalog()}
    try:
        is_there = path.exists()
    except OSError as error:
        raise SpecError(
            f"{shown(name_or_path)}: expected a sweep file: {error.strerror}"
        ) from error
    if is_there or path.suffix in {".yaml", ".yml"}:
        return path
    if name_or_path in shipped:
        return shipped[name_or_path]
    known = like(name_or_path, shipped)
    raise SpecError(f"{name_or_path}: expected a sweep file, or {known}; no such file")


def _changed(value: dict[str, Any], change: str) -> dict[str, Any]:
    """A copy with `field=value` applied; fields are those of the trial, or a dotted path from the top."""
    field, equals, text = change.partition("=")
    parts = field.split(".")
    if not equals or not all(part.isidentifier() for part in parts):
        raise SpecError(f"--set {change}: expected field=value")
    new = parse(text, name=f"--set {field}").value
    # both a sweep and a trial have a budget
    of_sweep = parts[0] in Sweep.model_fields and not (
        parts[0] == "budget" and not {*parts[1:2]} & Limits.model_fields.keys()
    )
    path = parts if of_sweep else ["trial", *parts]
    return _with(value, path, new, change)


def _with(value: Any, path: Sequence[str], new: Any, change: str) -> Any:
    if not path:
        return new
    if not isinstance(value, dict):
        raise SpecError(f"--set {change}: {path[0]} lies inside something that has no fields")
    return {**value, path[0]: _with(value.get(path[0], {}), path[1:], new, change)}


def _check_fitted(claim: CoefficientClaim | LawClaim, fits: Sequence[FitSpec]) -> None:
    """Refuse a claim about a fit or a law that the report does not have."""
    named = [fit for fit in fits if fit.name == claim.fit]
    if not named:
        raise ValueError(f"the claim {claim.say!r} needs a fit named {claim.fit!r}")
    laws = (named[0].law, *named[0].rivals)
    for law in (claim.better, claim.than) if isinstance(claim, LawClaim) else ():
        if law not in laws:
            known = ", ".join(laws)
            raise ValueError(
                f"the claim {claim.say!r} needs a law of the fit {claim.fit}: expected one of"
                f" {known}, got {law}"
            )
