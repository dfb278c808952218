"""The commands for one trial: train it again, and ask it for answers."""

from __future__ import annotations

import json
from typing import Annotated

import typer
from rich.console import Console

from sweeps.commands.options import DEFAULT_STORAGE, JsonOption, StorageOption


def rerun(key: str, storage: StorageOption = DEFAULT_STORAGE) -> None:
    """Train one trial again in the foreground, from its stored config; nothing is written.

    Every point is compared with the ledger's: the same config must give the same bits.
    """
    from sweeps.inspecting.rerun import rerun_trial
    from sweeps.storage.ledger import Ledger

    if not rerun_trial(Ledger(storage), key, Console()):
        typer.echo("rerun: some points differ from the ledger's", err=True)
        raise typer.Exit(1)


def predict(
    key: Annotated[str, typer.Argument(help="A trial's key, or how it begins.")],
    questions: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[QUESTION ...]", help='As in "160 120"; without one, test examples.'
        ),
    ] = None,
    storage: StorageOption = DEFAULT_STORAGE,
    examples: Annotated[
        int, typer.Option(min=1, max=10_000, help="Test examples to show where nothing is asked.")
    ] = 10,
    as_json: JsonOption = False,
) -> None:
    """Ask a trained trial for answers; without a question, show its own test examples."""
    from sweeps.inspecting.predict import ask, prediction_document, show_predictions
    from sweeps.storage.ledger import Ledger

    answered = ask(Ledger(storage), key, tuple(questions or ()), examples)
    if as_json:
        typer.echo(json.dumps(prediction_document(answered), indent=1))
    else:
        show_predictions(answered, Console())
