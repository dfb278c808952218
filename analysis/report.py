"""Write a study as one self-contained HTML page, with its figures and data as files beside it."""

import base64
import json
import os
import tempfile
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from analysis.answer import answer, signed
from analysis.figures import Picture, contrast_picture, fit_picture, table_picture
from analysis.fit import as_document
from analysis.study import Group, Study, SweepFit, axis_fields, described
from analysis.summary import INTERVAL, Summary, between, conditions, number, stated, written
from sweeps.spec import catalog, resolved_text

TEMPLATES = Path(__file__).parent / "templates"
PAGE = "report.html"


def write_report(study: Study, folder: Path) -> Path:
    """Write `report.html`, `study.json` and `figures/` into a folder; returns the page's path.

    The same study gives the same bytes. Every file is replaced at once, so a reader of the folder
    never sees half of one.
    """
    tables = [table_picture(f"table-{at}", one) for at, one in enumerate(study.tables, 1)]
    contrasts = [
        contrast_picture(f"contrast-{at}", one) for at, one in enumerate(study.contrasts, 1)
    ]
    named = [
        [one for one in study.fits if one.name == spec.name] for spec in study.sweep.report.fits
    ]
    fits = [fit_picture(f"fit-{one[0].name}", one) if one else None for one in named]
    (folder / "figures").mkdir(parents=True, exist_ok=True)
    for picture in (*tables, *contrasts, *fits):
        if picture is not None:
            _replace(folder / "figures" / f"{picture.name}.svg", picture.svg)
            _replace(folder / "figures" / f"{picture.name}.png", picture.png)
    _replace(folder / "study.json", (json.dumps(as_data(study), indent=1) + "\n").encode())
    page = (
        _environment()
        .get_template("report.html.j2")
        .render(
            study=study,
            sweep=study.sweep,
            answer=answer(study),
            tables=list(zip(study.tables, tables, strict=True)),
            contrasts=list(zip(study.contrasts, contrasts, strict=True)),
            fits=[
                (group[0].spec, group, picture)
                for group, picture in zip(named, fits, strict=True)
                if group
            ],
            fields=axis_fields(study.sweep),
            resolved=resolved_text(study.sweep),
            shipped=study.sweep.name in {file.stem for file in catalog()},
            interval=INTERVAL,
        )
    )
    _replace(folder / PAGE, page.encode())
    return folder / PAGE


def as_data(study: Study) -> dict[str, Any]:
    """The study as plain data for JSON."""
    return {
        "sweep": study.sweep.name,
        "finished": study.finished,
        "answer": list(answer(study)),
        "best": None
        if study.best is None
        else {"key": study.best.key, "value": study.best.value, "fields": dict(study.best.group)},
        "claims": [
            {
                "say": one.say,
                "verdict": one.verdict,
                "reason": one.reason,
                "expected": one.expected,
                "published": one.published,
                "value": one.value,
                "low": one.low,
                "high": one.high,
                "trials": one.trials,
                "sure": one.sure,
            }
            for one in study.verdicts
        ],
        "tables": [
            {
                "title": table.spec.title,
                "rows": [
                    {
                        "fields": dict(row.group),
                        "metrics": {
                            name: _summary(value)
                            for name, value in zip(table.spec.metrics, row.metrics, strict=True)
                        },
                        "beside": _summary(row.beside),
                        "lists": dict(zip(table.spec.lists, map(list, row.lists), strict=True)),
                        "trials": row.trials,
                        "omitted": row.omitted,
                    }
                    for row in table.rows
                ],
            }
            for table in study.tables
        ],
        "contrasts": [
            {
                "title": one.spec.title,
                "field": one.spec.field,
                "base": one.spec.base,
                "rows": [
                    {
                        "fields": dict(row.group),
                        "value": row.value,
                        "difference": _summary(row.difference),
                        "unpaired": row.unpaired,
                    }
                    for row in one.rows
                ],
            }
            for one in study.contrasts
        ],
        "fits": [_fit(one) for one in study.fits],
        "omitted": [
            {
                "key": one.key,
                "outcome": one.outcome,
                "reason": one.reason,
                "fields": {name: one.fields.get(name) for name in axis_fields(study.sweep)},
            }
            for one in study.omitted
        ],
    }


def _summary(one: Summary | None) -> dict[str, Any] | None:
    if one is None:
        return None
    return {"count": one.count, "mean": one.mean, "low": one.low, "high": one.high}


def _fit(one: SweepFit) -> dict[str, Any]:
    return {
        "name": one.name,
        "group": dict(one.group),
        "refused": one.refused,
        "notes": [{"code": note.code, "text": note.text} for note in one.notes],
        "fit": None if one.fit is None else as_document(one.fit),
        "hold_out": [
            {
                "largest": test.largest,
                "fitted": test.fitted,
                "error": test.error,
                "reach": test.reach,
            }
            for test in one.backtests
        ],
    }


def _environment() -> Environment:
    """Escaping is on for every value: names and notes come from files and trackers."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        number=number,
        written=written,
        signed=signed,
        stated=stated,
        described=described,
        pictured=_pictured,
    )
    environment.globals.update(between=between, conditions=_conditions)
    return environment


def _conditions(fields: Group | dict[str, Any]) -> str:
    return conditions(list(fields.items()) if isinstance(fields, dict) else fields)


def _pictured(picture: Picture) -> str:
    """A figure as a data URI: nothing is loaded from elsewhere, and ids cannot collide."""
    return "data:image/svg+xml;base64," + base64.b64encode(picture.svg).decode()


def _replace(path: Path, content: bytes) -> None:
    """Write a file whole or not at all."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        Path(name).chmod(0o644)
        os.replace(name, path)
    except OSError:
        Path(name).unlink(missing_ok=True)
        raise
