"""The address of the tracker: what the user gives, or a file in the storage folder."""

from pathlib import Path

from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError

from trainers.schema import InputError

DATABASES = ("sqlite", "postgresql", "mysql", "mssql")
_SERVERS = ("http", "https")


def tracker_uri(given: str | None, storage: Path) -> str:
    """The tracker that the user names; without one, a SQLite file in the storage folder.

    Raises:
        InputError: MLflow keeps no runs at such an address; its password is not repeated.
    """
    if given is None:
        return f"sqlite:///{storage.resolve()}/mlflow.db"
    scheme = given.partition("://")[0] if "://" in given else ""
    kind = scheme.partition("+")[0]
    if kind not in (*_SERVERS, *DATABASES):
        known = ", ".join(f"{each}://" for each in (*_SERVERS, *DATABASES))
        raise InputError(f"--tracking: expected an address with {known}, got {scheme or 'none'}")
    if kind in DATABASES:
        try:
            make_url(given).get_dialect().import_dbapi()
        except (ArgumentError, NoSuchModuleError) as error:
            raise InputError(f"--tracking: expected the address of a {kind} database") from error
        except ModuleNotFoundError as error:
            raise InputError(
                f"--tracking: expected the driver {error.name} to be installed for {scheme}"
            ) from error
    return given
