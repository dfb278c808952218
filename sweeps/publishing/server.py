"""MLflow's server for one person's browser: its pages and its interface, without its assistant.

The assistant runs commands on the machine of the server, for whoever reaches the port; on a machine
with several users that is all of them. Here it has no address, and its panel is not shown.
"""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from mlflow.server.fastapi_app import app as _mlflow

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Message, Receive, Send], Awaitable[None]]

_ASSISTANT = "/mlflow/assistant"
_HIDDEN = b"<style>[data-assistant-ui]{display:none!important}</style></head>"


def create_app() -> Application:
    """What `mlflow server --app-name lawsweep` serves."""
    return _serve


async def _serve(scope: Message, receive: Receive, send: Send) -> None:
    path = scope.get("path", "")
    if _ASSISTANT in path:
        await send({"type": "http.response.start", "status": 404, "headers": []})
        await send({"type": "http.response.body", "body": b""})
    elif path == "/" and scope["type"] == "http":
        await _serve_page(scope, receive, send)
    else:
        await _mlflow(scope, receive, send)


async def _serve_page(scope: Message, receive: Receive, send: Send) -> None:
    """The one page that MLflow's interface in the browser consists of."""
    start: Message = {}
    body = bytearray()

    async def keep(message: Message) -> None:
        if message["type"] == "http.response.start":
            start.update(message)
            return
        body.extend(message.get("body", b""))
        if not message.get("more_body", False):
            page = bytes(body).replace(b"</head>", _HIDDEN, 1)
            headers = [pair for pair in start["headers"] if pair[0].lower() != b"content-length"]
            start["headers"] = [*headers, (b"content-length", str(len(page)).encode())]
            await send(start)
            await send({"type": "http.response.body", "body": page})

    await _mlflow(scope, receive, keep)
