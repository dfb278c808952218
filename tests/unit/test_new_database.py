"""A new database of MLflow: as MLflow makes it, whole or not there, and copied the second time."""

import sqlite3
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.store.db import utils

from sweeps.publishing import new_database
from sweeps.publishing.new_database import ensure_database


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "lawsweep" / "mlflow"


def tables(file: Path) -> dict[str, list[str]]:
    """The lines of each table and index as it was asked for, and the revision of the whole.

    Constraints of a table have no order: two that MLflow makes itself differ in it.
    """
    opened = sqlite3.connect(file)
    asked = opened.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL").fetchall()
    found = {name: sorted(line.rstrip(", ") for line in sql.splitlines()) for name, sql in asked}
    (revision,) = opened.execute("SELECT * FROM alembic_version").fetchall()
    return {**found, "revision": list(revision)}


def filled(file: Path) -> set[str]:
    """The tables that hold something."""
    opened = sqlite3.connect(file)
    names = opened.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
    return {name for (name,) in names if opened.execute(f'SELECT 1 FROM "{name}"').fetchone()}


def test_it_is_what_mlflow_makes_itself_the_first_time_and_the_second(tmp_path, cache, monkeypatch):
    own = tmp_path / "own.db"
    MlflowClient(f"sqlite:///{own}").search_experiments()
    first, second = tmp_path / "new" / "first.db", tmp_path / "second.db"
    ensure_database(f"sqlite:///{first}")
    assert len(list(cache.iterdir())) == 1
    monkeypatch.delattr(utils, "_initialize_tables")  # the second time nothing is migrated
    ensure_database(f"sqlite:///{second}")
    for file in (first, second):
        assert tables(file) == tables(own)
        assert filled(file) == {"alembic_version", "workspaces"}  # MLflow writes both itself
        client = MlflowClient(f"sqlite:///{file}")
        assert client.get_experiment(client.create_experiment("found")).name == "found"
    assert first.stat().st_mode & 0o077 == 0


def test_one_that_is_there_stays_as_it_is(tmp_path):
    file = tmp_path / "mlflow.db"
    file.write_bytes(b"somebody's")
    ensure_database(f"sqlite:///{file}?timeout=3")
    assert file.read_bytes() == b"somebody's"
    assert list(tmp_path.iterdir()) == [file]


def test_one_in_memory_is_no_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for address in ("sqlite://", "sqlite:///:memory:"):
        ensure_database(address)
    assert not list(tmp_path.iterdir())


def test_one_that_is_not_whole_is_not_there(tmp_path, cache, monkeypatch):
    def break_off(engine) -> None:
        engine.connect().close()
        raise KeyboardInterrupt

    monkeypatch.setattr(new_database.utils, "_initialize_tables", break_off)
    with pytest.raises(KeyboardInterrupt):
        ensure_database(f"sqlite:///{tmp_path}/mlflow.db")
    assert not (tmp_path / "mlflow.db").exists()
    assert not list(cache.iterdir())


def test_a_cache_in_which_others_can_write_is_neither_read_nor_written(tmp_path, cache):
    cache.mkdir(parents=True)
    cache.chmod(0o777)
    planted = cache / f"{new_database.VERSION}.db"
    planted.write_bytes(b"planted")
    ensure_database(f"sqlite:///{tmp_path}/mlflow.db")
    assert tables(tmp_path / "mlflow.db")
    assert planted.read_bytes() == b"planted"
