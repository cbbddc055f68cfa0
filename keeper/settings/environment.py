"""Reads settings from the environment and `.env`, and explains what is wrong with them in one line."""

import os
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from keeper.errors import OperatorError
from keeper.secret_files import read_secret
from keeper.settings.chain import PREFIX
from keeper.settings.database import check_database
from keeper.settings.model import DEVELOPMENT_CHAINS, Settings
from keeper.settings.types import carries_secret


def _read_environment(env_file: Path | None = Path(".env")) -> dict[str, str]:
    """KEEPER_ variables of `.env` and the environment (which wins), names in lower case without the prefix.

    `KEEPER_X_FILE` is replaced by X with the file's content. Raises OperatorError for an unreadable file.
    """
    from dotenv import dotenv_values

    found: dict[str, str] = {}
    if env_file is not None and env_file.is_file():
        try:
            found.update({key: value or "" for key, value in dotenv_values(env_file, interpolate=False).items()})
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "not a text file"
            raise OperatorError(f"cannot read the settings in {env_file}: {reason}") from None
    found.update(os.environ)
    values = {key[len(PREFIX) :].lower(): value for key, value in found.items() if key.startswith(PREFIX)}
    _read_files(values)
    return values


def _read_files(values: dict[str, str]) -> None:
    """Replace each `x_file` by x with the file's content.

    A secret's file must be closed to other users, except on development chains.
    """
    fields = Settings.model_fields
    development = values.get("chain_id", "") in {str(chain_id) for chain_id in DEVELOPMENT_CHAINS}
    allow_open = development or _says_yes(values.get("allow_open_secrets", ""))
    for name in [name for name in values if name.endswith("_file") and name not in fields]:
        target = name.removesuffix("_file")
        if target not in fields:
            continue
        key = PREFIX + name.upper()
        if target in values:
            raise OperatorError(f"{PREFIX}{target.upper()} and {key} are both set: keep one")
        secret = carries_secret(fields[target].annotation)
        values[target] = read_secret(Path(values.pop(name)), key, allow_open or not secret).strip()
        if target == "private_key":
            values["_private_key_from_file"] = "1"


def _says_yes(value: str) -> bool:
    """What pydantic takes for true; anything else is refused or false later."""
    try:
        return TypeAdapter(bool).validate_python(value)
    except ValidationError:
        return False


def load_settings(env_file: Path | None = Path(".env"), **overrides: Any) -> Settings:
    """Settings from `.env`, the environment and keyword overrides (which win).

    Raises OperatorError, one line that names the key and says what to do.
    """
    values: dict[str, Any] = {**_read_environment(env_file), **overrides}
    key_from_file = values.pop("_private_key_from_file", None)
    unknown = sorted(set(values) - set(Settings.model_fields))
    if unknown:
        raise OperatorError(_unknown(unknown[0]))
    values = {name: value for name, value in values.items() if value != ""}
    try:
        settings = Settings(**values)
    except ValidationError as error:
        raise OperatorError(_explain(error)) from None
    if not settings.allow_plain_database:
        check_database(settings.database_url.get_secret_value())
    plain = settings.private_key and not key_from_file and not settings.allow_plain_key
    if plain and settings.chain_id not in DEVELOPMENT_CHAINS:
        raise OperatorError(
            f"KEEPER_PRIVATE_KEY is refused on chain {settings.chain_id}: use KEEPER_KEYSTORE_FILE or "
            "KEEPER_PRIVATE_KEY_FILE, or set KEEPER_ALLOW_PLAIN_KEY=true"
        )
    if settings.chain_id not in DEVELOPMENT_CHAINS and not settings.allow_open_secrets:
        _check_env_file(env_file)
    return settings


def _check_env_file(env_file: Path | None) -> None:
    """A key or a password makes `.env` a secret's file. Raises OperatorError when other users can read it."""
    from dotenv import dotenv_values

    if env_file is None or not env_file.is_file():
        return
    found = dotenv_values(env_file, interpolate=False)
    for key in (f"{PREFIX}PRIVATE_KEY", f"{PREFIX}KEYSTORE_PASSWORD"):
        if found.get(key):
            read_secret(env_file, key)


def _unknown(name: str) -> str:
    close = get_close_matches(name, Settings.model_fields, n=1)
    hint = f"did you mean {PREFIX}{close[0].upper()}?" if close else "see .env.example for the known ones"
    return f"unknown setting {PREFIX}{name.upper()}: {hint}"


def _explain(error: ValidationError) -> str:
    first = error.errors(include_input=False, include_url=False)[0]
    message = first["msg"].removeprefix("Value error, ")
    if not first["loc"]:
        return message
    key = PREFIX + str(first["loc"][0]).upper()
    if first["type"] == "missing":
        return f"{key} is not set: put it into .env or the environment (see .env.example)"
    return f"{key}: {message[0].lower()}{message[1:]}"
