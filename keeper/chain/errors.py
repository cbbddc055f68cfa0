"""Errors of the network layer. Their texts never carry a URL's path, user, password or query."""

from typing import Any

from keeper.errors import Transient


class RpcError(Transient):
    """A node's JSON-RPC error, as it said it. `data` is whatever came with it."""

    def __init__(self, code: int, message: str, data: Any = None, method: str = "") -> None:
        super().__init__(f"{method}: {message} ({code})" if method else f"{message} ({code})")
        self.code = code
        self.message = message
        self.data = data
        self.method = method
