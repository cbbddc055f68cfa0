"""What of the settings must not show in any output."""

from collections.abc import Iterable
from typing import Any

from pydantic import SecretStr

from keeper.redact import secrets_in
from keeper.settings.model import Settings
from keeper.settings.types import carries_secret


def secrets_of(settings: Settings) -> list[str]:
    """Every secret setting, and the parts of URLs that may be credentials."""
    found = list[str]()
    for name, field in Settings.model_fields.items():
        if not carries_secret(field.annotation):
            continue
        for text in _texts(getattr(settings, name)):
            found += secrets_in(text, path=name != "database_url") if "url" in name else [text]
    return found


def _texts(value: Any) -> Iterable[str]:
    match value:
        case SecretStr():
            yield value.get_secret_value()
        case tuple():
            for part in value:
                yield from _texts(part)
