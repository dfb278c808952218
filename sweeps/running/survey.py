"""What `doctor` says of a Ray cluster: who is let in, and what its nodes have to train on."""

from sweeps.running.joining import own_token, prepare_joining
from trainers.schema import InputError

Finding = tuple[str, str, str]
"""What, what was found, and what to do about it; nothing where all is well."""


def token_finding() -> Finding:
    """The token with which this user joins clusters; having none is no problem of this machine."""
    token = own_token()
    if not token.problem:
        return "Ray token", f"in {token.place}", ""
    if "found none" in token.problem:
        hint = "none; for a cluster: (umask 077 && ray get-auth-token --generate > /dev/null)"
        return "Ray token", hint, ""
    return "Ray token", token.place, token.problem


def admission(address: str) -> tuple[str | None, Finding]:
    """The cluster as host:port if this user may join it, and who is let in there."""
    try:
        found = prepare_joining(address, insecure=False)
    except InputError as error:
        return None, ("Ray cluster", address, str(error))
    return found, ("Ray cluster", f"{found} asks for a token, and takes ours", "")
