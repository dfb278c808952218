"""Does the tracker answer, and does it let us in? Asked before the first trial, and by `doctor`."""

import os
import re
import socket
from urllib.parse import urlsplit

from sqlalchemy import create_engine

from sweeps.publishing.tracker import AWAY, connect, in_one_line, is_database
from trainers.schema import InputError

_CONNECT_S = 5.0
_REFUSED = re.compile(
    r"error code 40[13]|not authenticated|password authentication failed|no password supplied",
    re.IGNORECASE,
)


def absence(uri: str) -> str:
    """Why the tracker does not answer now, in one line; "" when it does, or is a file of ours.

    A server that is away may come back; one that refuses our name and password will not change its mind.

    Raises:
        InputError: the tracker answers and does not let us in.
    """
    if uri.startswith("sqlite:"):
        return ""
    try:
        _ask_database(uri) if is_database(uri) else _ask_server(uri)
    except AWAY as error:
        words = in_one_line(error)
        if _REFUSED.search(words):
            raise InputError(
                "--tracking: expected a user and a password that the tracker takes, in"
                " MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD or in the address of a"
                f" database: {words[:160]}"
            ) from error
        return words
    return ""


def _ask_database(uri: str) -> None:
    """Connect, and no more: MLflow would make its tables."""
    os.environ.setdefault("PGCONNECT_TIMEOUT", str(round(_CONNECT_S)))
    engine = create_engine(uri)
    try:
        engine.connect().close()
    finally:
        engine.dispose()


def _ask_server(uri: str) -> None:
    parts = urlsplit(uri)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    # MLflow's own client would try for longer
    socket.create_connection((parts.hostname or "", port), timeout=_CONNECT_S).close()
    connect(uri).search_experiments(max_results=1)
