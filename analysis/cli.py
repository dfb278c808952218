"""The `lawsweep` command: fits, comparisons and reports here, sweeps from `sweeps.cli`."""

from __future__ import annotations

import atexit
import gc
import os
import re
import sys
from collections.abc import Sequence

import typer
from typer.exceptions import Abort, TyperException

from analysis.commands import fits, laws, report, reproduce, settings
from analysis.commands.declared import check_laws
from analysis.commands.shared import given as typed
from sweeps.cli import app as sweep_commands
from sweeps.secrets import masked
from trainers.schema import InputError

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
app.add_typer(sweep_commands)
for command in (
    *(report.report, reproduce.reproduce, fits.fit, fits.compare),
    *(settings.tuning, settings.isoflop, fits.crossover),
):
    app.command()(command)
app.command("laws")(laws.list_laws)

_PAIR = re.compile(r"[A-Za-z_][A-Za-z0-9_]*=.+")


@app.callback()
def lawsweep(context: typer.Context) -> None:
    """One sweep file in: trained models, tracked runs, fitted scaling laws and a report out."""
    context.obj = check_laws  # `sweeps` cannot know laws, yet planning must refuse a wrong one


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code: 0 done, 1 failed, 2 bad input, 130 interrupted."""
    # What torch, Ray and MLflow make on import stays: looking through it for garbage, again and again
    # and once more at the end, takes a third of their time.
    gc.set_threshold(50_000, 50, 50)
    atexit.register(gc.freeze)
    # The matrices of a fit are small: threads that share one cost more than they bring.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    given = list(sys.argv[1:] if arguments is None else arguments)
    typed[:] = given
    strange = next((one for one in given if not _is_text(one)), None)
    if strange is not None:
        return _failed(f"expected arguments in UTF-8, got {strange!r}", 2)
    try:
        code = app(args=_spread(given) or ["--help"], prog_name="lawsweep", standalone_mode=False)
    except InputError as error:
        return _failed(str(error), 2)
    except TyperException as error:
        return _failed(error.format_message(), 2)
    except (Abort, KeyboardInterrupt):
        return 130
    except BrokenPipeError:
        # The reader of a pipe, such as `head`, has enough; nobody is left to be told.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        return _failed(str(error), 1)
    return code if isinstance(code, int) else 0


def _failed(text: str, code: int) -> int:
    line = " ".join(masked(text).split())
    words = "".join(one if one.isprintable() else repr(one)[1:-1] for one in line)
    sys.stderr.write(f"lawsweep: {words}\n")
    return code


def _is_text(argument: str) -> bool:
    """Whether an argument was text in UTF-8, and not other bytes."""
    try:
        argument.encode()
    except UnicodeEncodeError:
        return False
    return True


def _spread(arguments: Sequence[str]) -> list[str]:
    """`--map a=b c=d` as `--map a=b --map c=d`: an option of typer takes one value at a time."""
    result: list[str] = []
    mapping = False
    for place, argument in enumerate(arguments):
        if argument == "--map":
            mapping = True
        elif argument.startswith("-"):
            mapping = False
        elif mapping and _PAIR.fullmatch(argument) and arguments[place - 1] != "--map":
            result.append("--map")
        result.append(argument)
    return result


if __name__ == "__main__":
    sys.exit(main())
