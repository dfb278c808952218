"""The commands that plan, launch and watch sweeps, put together; `analysis.cli` mounts them."""

import typer

from sweeps.commands import doctor, launch, lists, plan, storage, trial

app = typer.Typer(add_completion=False, no_args_is_help=True)

for command in (
    *(plan.plan, launch.launch, storage.status, trial.rerun, trial.predict),
    *(storage.sync, storage.gc, storage.ui),
    *(lists.tasks, lists.positions, lists.encodings, lists.models, lists.axes, lists.catalog),
    doctor.doctor,
):
    app.command()(command)
