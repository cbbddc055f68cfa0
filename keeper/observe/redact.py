"""Hides secrets, and paths and credentials of URLs, in text."""

import json
import re
from collections.abc import Iterable

HIDDEN = "***"
_SHORTEST = 4  # a shorter secret would blank out ordinary words
_URL = re.compile(r"\b((?:https?|wss?|postgresql(?:\+\w+)?|mysql(?:\+\w+)?)://)([^\s\"'<>\\]+)", re.IGNORECASE)


def redact_url(url: str) -> str:
    """Scheme, host and port; user, password, path and query are hidden."""
    return _URL.sub(_shorten, url)


def _shorten(match: re.Match[str]) -> str:
    scheme, rest = match.groups()
    authority, *path = re.split(r"[/?#]", rest, maxsplit=1)
    user, at, host = authority.rpartition("@")
    hidden = f"/{HIDDEN}" if path and path[0] else ""
    return f"{scheme}{HIDDEN + at if user else ''}{host}{hidden}"


class Redactor:
    """Hides the given secrets, as they are and as JSON writes them, and shortens every URL."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        forms: set[str] = set()
        for secret in secrets:
            bare = secret.strip().removeprefix("0x")
            forms |= {form for form in (secret, bare, json.dumps(secret)[1:-1]) if len(form) >= _SHORTEST}
        ordered = sorted(forms, key=lambda form: (-len(form), form))
        self._secrets = re.compile("|".join(map(re.escape, ordered)), re.IGNORECASE) if ordered else None

    def __call__(self, text: str) -> str:
        hidden = self._secrets.sub(HIDDEN, text) if self._secrets else text
        return redact_url(hidden)
