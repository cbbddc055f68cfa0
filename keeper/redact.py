"""Hides secrets, and paths and credentials of URLs, in text."""

import base64
import json
import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote, quote_plus, unquote, unquote_plus

HIDDEN = "***"
_ANYWHERE = 8  # characters; shorter secrets are hidden as whole words, or they would blank out parts of others
_TOKEN, _TOKEN_WITH_DIGIT = 12, 6  # characters; shorter words of a path are names
_URL = re.compile(r"\b((?:https?|wss?|postgresql(?:\+\w+)?|mysql(?:\+\w+)?)://)([^\s\"'<>\\]+)", re.IGNORECASE)
_HOST = re.compile(r"(\[[^]]*\]|[^:\[\]]*)(:\d*)?[.,;:!)\]}]*")  # and the punctuation of a sentence
_SECRET_NAME = re.compile(r"pass|pwd|token|secret|auth|sig|user|(?<!ssl)key", re.IGNORECASE)
_USUAL_USERS = frozenset({"admin", "keeper", "postgres", "root", "user"})  # no secrets, and words of many messages


def redact_url(url: str) -> str:
    """Scheme, host and port; user, password, path and query are hidden."""
    return _URL.sub(_shorten, url)


def _shorten(match: re.Match[str]) -> str:
    scheme, rest = match.groups()
    authority, *path = re.split(r"[/?#]", rest, maxsplit=1)
    user, at, host = authority.rpartition("@")
    tail = path[0] if path else ""
    if "@" in tail or not _HOST.fullmatch(host):  # perhaps a password with a slash: where the host is, is not known
        return f"{scheme}{HIDDEN}"
    return f"{scheme}{HIDDEN + at if user else ''}{host}{f'/{HIDDEN}' if tail else ''}"


def secrets_in(url: str, path: bool = True) -> list[str]:
    """Parts of a URL that may be credentials: user, password, secret values of the query.

    With `path` also its words that look like tokens and, as servers repeat it in their errors, the path as a whole.
    """
    scheme, separator, rest = url.partition("://")
    if not separator:
        return []
    authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
    http = scheme.lower() in ("http", "https", "ws", "wss")
    # HTTP libraries end the user's part at the last @ before the path, SQLAlchemy at the first @.
    user_part = authority.rpartition("@")[0] if http else rest[: max(rest.find("@"), 0)]
    user, _, password = user_part.partition(":")
    found = [user, password]
    if password:
        found.append(base64.b64encode(f"{unquote(user)}:{unquote(password)}".encode(errors="replace")).decode())
    for pair in re.split("[&;]", rest.partition("?")[2]):
        name, _, value = pair.partition("=")
        found += [value] if _SECRET_NAME.search(name) else []
    if path:
        tail = rest[len(authority) :]
        tokens = [word for word in re.split(r"[/&=?#;]", tail) if _may_be_token(word)]
        found += [*tokens, tail] if tokens or re.search(r"[\d?]", tail) else []
    return [part for part in found if part and part.lower() not in _USUAL_USERS]


def _may_be_token(word: str) -> bool:
    mixed = any(map(str.isdigit, word)) and any(map(str.isalpha, word))
    return len(word) >= (_TOKEN_WITH_DIGIT if mixed else _TOKEN)


class Redactor:
    """Hides the given secrets, as they are and as JSON, URLs and Python write them, and shortens every URL.

    A secret of less than 8 characters is hidden where it is a whole word; a single character is not hidden.
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        forms = {form for secret in secrets for form in _forms(secret)}
        ordered = sorted(forms, key=lambda form: (-len(form), form))
        self._secrets = re.compile("|".join(map(_pattern, ordered)), re.IGNORECASE) if ordered else None

    def __call__(self, text: str) -> str:
        return redact_url(self.hide(text))

    def hide(self, text: str) -> str:
        """Hide the secrets, and leave URLs without one as they are: advice shows how to write them."""
        return self._secrets.sub(HIDDEN, text) if self._secrets else text

    def fields(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        """An event's fields without secrets, whatever they contain. Names of fields and numbers stay."""
        return {name: self._value(value) for name, value in fields.items()}

    def _value(self, value: Any) -> Any:
        match value:
            case None | bool() | int() | float():
                return value
            case Mapping():
                return {self(key) if isinstance(key, str) else key: self._value(item) for key, item in value.items()}
            case list() | tuple() | set() | frozenset():
                return [self._value(item) for item in value]
        return self(str(value))


def _forms(secret: str) -> set[str]:
    """Every way in which texts may contain a secret."""
    bare = secret.strip()
    plain = {secret, bare, bare.removeprefix("0x")}
    plain |= {decode(form) for form in plain for decode in (unquote, unquote_plus)}
    forms = set(plain)
    for form in plain:
        forms |= {json.dumps(form)[1:-1], json.dumps(form, ensure_ascii=False)[1:-1], repr(form)[1:-1]}
        forms |= {quote(form, errors="replace"), quote(form, "", errors="replace"), quote_plus(form, errors="replace")}
    return {form for form in forms if _can_be_hidden(form)}


def _can_be_hidden(form: str) -> bool:
    """Not what every text has: single characters, short numbers, punctuation."""
    return len(form) >= 4 or (any(map(str.isalpha, form)) and sum(map(str.isalnum, form)) >= 2)


def _pattern(form: str) -> str:
    escaped = re.escape(form)
    if len(form) >= _ANYWHERE:
        return escaped
    before = r"(?:(?<![^\W_])|(?<=\\[nrtbf]))" if form[0].isalnum() else ""  # an escape's letter is no part of a word
    after = r"(?![^\W_])" if form[-1].isalnum() else ""
    return f"{before}{escaped}{after}"
