"""Types of settings that pydantic does not have: lists, pairs, URLs, addresses, levels."""

import re
from typing import Annotated, Any, get_args
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr
from pydantic_settings import NoDecode

_ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}")
_LEVELS = ("debug", "info", "warning", "error", "critical")


def setting(default: Any, group: str, text: str, **limits: Any) -> Any:
    """One field. `text` is a sentence without its full stop, for people."""
    return Field(default, description=text, json_schema_extra={"group": group}, **limits)


def carries_secret(annotation: object) -> bool:
    """Whether a setting of this type can hold a secret."""
    return annotation is SecretStr or any(carries_secret(part) for part in get_args(annotation))


def _split(value: object) -> object:
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


def _pairs(value: object) -> object:
    """`ETH=0x...,BTC=0x...`; addresses as 0x and 40 hex digits."""
    if not isinstance(value, str):
        return value
    pairs = [part.strip().partition("=") for part in value.split(",") if part.strip()]
    for label, _, address in pairs:
        if not label or not _ADDRESS.fullmatch(address):
            raise ValueError("must be label=address pairs, as in ETH=0x...,BTC=0x...")
    return {label: address for label, _, address in pairs}


def _address(value: str) -> str:
    if not _ADDRESS.fullmatch(value):
        raise ValueError("must be an address")
    return value


def _addresses(values: tuple[str, ...]) -> tuple[str, ...]:
    if not all(_ADDRESS.fullmatch(value) for value in values):
        raise ValueError("must be comma-separated addresses")
    return values


def _known_level(value: str) -> str:
    if value.lower() not in _LEVELS:
        raise ValueError("must be debug, info, warning, error or critical")
    return value.lower()


def _nodes(urls: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
    for url in urls:
        text = url.get_secret_value()
        if "://" in text:
            _check_url(text, ("http", "https", "ws", "wss"), "must be http(s) or ws(s) URLs or IPC paths")
    return urls


def _services(urls: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
    for url in urls:
        _service(url)
    return urls


def _service(url: SecretStr) -> SecretStr:
    _check_url(url.get_secret_value(), ("http", "https"), "must be http(s) URLs")
    return url


def _check_url(text: str, schemes: tuple[str, ...], rule: str) -> None:
    """Raises ValueError with the rule; never with the URL, which may be secret."""
    try:
        parts = urlsplit(text)
        port, host = parts.port, parts.hostname
        if host:
            host.encode("idna")
    except ValueError:  # UnicodeError is one
        raise ValueError(f"{rule}; one has a malformed host or port") from None
    if parts.scheme not in schemes or not host or port == 0:
        raise ValueError(rule)


_Urls = Annotated[tuple[SecretStr, ...], NoDecode, BeforeValidator(_split)]
NodeUrls = Annotated[_Urls, AfterValidator(_nodes)]
ServiceUrls = Annotated[_Urls, AfterValidator(_services)]
SecretServiceUrl = Annotated[SecretStr, AfterValidator(_service)]
Pairs = Annotated[dict[str, str], NoDecode, BeforeValidator(_pairs)]
Address = Annotated[str, AfterValidator(_address)]
Names = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)]
Addresses = Annotated[Names, AfterValidator(_addresses)]
LevelName = Annotated[str, AfterValidator(_known_level)]
