"""Ask a Ray cluster who it lets in; run as a script, because Ray reads its mode once for a process.

    RAY_AUTH_MODE=disabled python -m sweeps.running.gcs_probe 10.0.0.5:6379

prints one JSON object: `address`, as host:port, and `answer`: open, closed or away. `open` says that
whoever has what this process has (no token, or one) may run anything there.
"""

import json
import socket
import sys

from ray._private.services import canonicalize_bootstrap_address_or_die
from ray._raylet import GcsClient  # pyright: ignore[reportAttributeAccessIssue]
from ray.exceptions import AuthenticationError, RpcError

_CONNECT_S = 5.0


def probe(address: str) -> dict[str, str]:
    """Who is at the address, and whether this process is let in."""
    found = address
    try:
        found = canonicalize_bootstrap_address_or_die(address)
        host, _, port = found.rpartition(":")
        # Ray's own client would try for 40 s
        socket.create_connection((host.strip("[]"), int(port)), timeout=_CONNECT_S).close()
        GcsClient(address=found)
    except AuthenticationError:
        return {"address": found, "answer": "closed"}
    except (RpcError, OSError, ValueError) as error:
        words = " ".join(str(error).split())[:200]
        return {"address": found, "answer": "away", "words": words}
    return {"address": found, "answer": "open"}


if __name__ == "__main__":
    print(json.dumps(probe(sys.argv[1])))
