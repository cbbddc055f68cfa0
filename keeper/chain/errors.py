"""Errors of the network layer, and the functions that keep credentials of URLs out of their texts."""

import re
from typing import Any
from urllib.parse import urlsplit

from keeper.errors import Transient
from keeper.redact import Redactor

_LONGEST_MESSAGE = 300
_NO_SECRETS = Redactor()


class Unserved(Transient):
    """A node that is up cannot serve this request: it is behind, has pruned the state, or refuses."""


class RpcError(Unserved):
    """A node's JSON-RPC error with its code, message and data."""

    def __init__(self, code: int, message: str, data: Any = None, method: str = "") -> None:
        super().__init__(f"{method}: {message} ({code})" if method else f"{message} ({code})")
        self.code = code
        self.message = message
        self.data = data
        self.method = method


class StateMissing(Unserved):
    """A node does not have the state of the block that a read is pinned to: pruned, or not imported yet."""

    _WORDS = re.compile(
        r"missing trie node|header not found|header for hash not found|unknown block|block not found|"
        r"state (is )?(not|un)[ -]?available|(historical|required) .*state|state .*(pruned|missing)|pruned|"
        r"no state found|old data not available|blockoutofrange|resource not found"
    )

    @classmethod
    def says(cls, error: RpcError) -> bool:
        """Whether a node's error means that it lacks the state."""
        return cls._WORDS.search(error.message.lower()) is not None


class Unreachable(Transient):
    """No connection could be made: the request was not sent."""


class Disconnected(Transient):
    """The connection was lost before the answer: the request may have been served."""


class HttpStatus(Transient):
    """An HTTP error without a JSON-RPC answer. `retry_after_s`: seconds to wait, if the node says so."""

    WAIT = frozenset({429, 503})

    def __init__(self, message: str, status: int, retry_after_s: float | None) -> None:
        super().__init__(message)
        self.status = status
        self.retry_after_s = retry_after_s

    @property
    def overloaded(self) -> bool:
        """Whether the node is overloaded and must not be asked again at once."""
        return self.status in self.WAIT


def redact(url: str) -> str:
    """Scheme, host and port of a URL; an IPC path as it is."""
    if "://" not in url:
        return url
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "?", parts.port
    except ValueError:
        return f"{url.split('://', 1)[0]}://?"
    host = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{host}" + (f":{port}" if port else "")


def scrub(text: str, hide: Redactor = _NO_SECRETS) -> str:
    """A node's message, safe to log: one line, of bounded length, without paths of URLs and what `hide` knows."""
    text = hide(" ".join(text.split()))
    return text if len(text) <= _LONGEST_MESSAGE else text[:_LONGEST_MESSAGE] + "..."
