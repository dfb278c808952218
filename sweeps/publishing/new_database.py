"""A new SQLite file with MLflow's tables: whole or not there, and copied where one was made before.

MLflow goes through all migrations it ever had, which takes two seconds; killed in the middle, it leaves
some of them behind, and does not go on from there.
"""

import tempfile
from contextlib import suppress
from pathlib import Path

from mlflow.store.db import utils
from mlflow.version import VERSION
from sqlalchemy import create_engine, event, make_url

from sweeps.storage import durable
from trainers.cache import private_cache


def ensure_database(uri: str) -> None:
    """Make the file of a SQLite address and the folders above it, unless they are there.

    Raises:
        OSError: they cannot be made.
    """
    name = make_url(uri).database
    if not name or name == ":memory:" or Path(name).exists():
        return
    file = Path(name)
    durable.make_folder(file.parent)
    cache = private_cache("mlflow")
    kept = None if cache is None else cache / f"{VERSION}.db"
    if kept is not None and kept.exists():
        durable.write_new(file, kept.read_bytes())
        return
    made = _migrated()
    durable.write_new(file, made)
    if kept is not None:
        with suppress(OSError):  # a full disk, say: the next one is made as this one was
            durable.write_new(kept, made)


def _migrated() -> bytes:
    with tempfile.TemporaryDirectory(prefix="lawsweep-mlflow-") as folder:
        file = Path(folder) / "new.db"
        engine = create_engine(f"sqlite:///{file}")
        # nothing of it need be on the disk before it is whole
        event.listen(engine, "connect", lambda opened, _: opened.execute("PRAGMA synchronous=OFF"))
        try:
            utils._initialize_tables(engine)  # a store would also make an experiment
        finally:
            engine.dispose()
        return file.read_bytes()
