"""Write `.env.example` from the settings class, or with --check say whether it is what the class gives."""

import sys
import textwrap
from pathlib import Path
from typing import Any

from pydantic.fields import FieldInfo

from keeper.settings import PREFIX, Settings

TARGET = Path(__file__).parent.parent / ".env.example"
HEAD = """\
# Settings of the keeper: copy to .env and edit. Made by `make abis` from keeper/settings/model.py.
# Lines without a leading # are required. The environment wins over this file.
# KEEPER_X_FILE=path reads X from a file: use it for keys, passwords and URLs with tokens.
"""
# Required settings have no default: what `keeper demo --keep` leaves behind.
EXAMPLES = {
    "rpc_urls": "ws://127.0.0.1:8545",
    "chain_id": "31337",
    "protocol": "margin_engine",
    "deployment": "keeper-data/deployment.json",
}
BETTER_AS_FILE = {"keystore_password": "/run/secrets/keystore-password", "private_key": "/run/secrets/key"}
OPTIONAL_EXAMPLES = {
    "treasury": "0x0000000000000000000000000000000000000000",
    "lease_s": "6",
    "max_notional_usd": "250000",
    "max_notional_usd_block": "1000000",
    "max_messages_block": "40",
    "allow_accounts": "0x0000000000000000000000000000000000000000",
    "deny_accounts": "0x0000000000000000000000000000000000000000",
    "allow_assets": "0x0000000000000000000000000000000000000000,BTC",
    "deny_assets": "0x0000000000000000000000000000000000000000,SOL",
    "keystore_file": "/etc/keeper/keystore.json",
    "remote_signer_url": "http://127.0.0.1:9000",
    "signer_address": "0x0000000000000000000000000000000000000000",
    "kms_key_id": "alias/keeper",
    "kms_region": "eu-central-1",
    "kms_endpoint_url": "https://kms.eu-central-1.amazonaws.com",
    "relay_urls": "https://relay.example.org",
    "native_price_usd": "3000",
    "log_json": "keeper.jsonl",
    "reference_feeds": "ETH=0x5f4eC3Df9cbd43714FE2740f5E3616155c5b8419",
    "sequencer_feed": "0xFdB631F5EE196F0ed6FAa767959853A9F217697D",
    "alert_urls": "https://hooks.example.org/services/...",
}


def _text(value: Any) -> str:
    if hasattr(value, "get_secret_value"):
        return str(value.get_secret_value())
    return str(value).lower() if isinstance(value, bool) else str(value)


def _limits(field: FieldInfo) -> str:
    words = {"ge": "at least", "gt": "above", "le": "at most", "lt": "below"}
    found = [(words[name], getattr(limit, name)) for limit in field.metadata for name in words if hasattr(limit, name)]
    return ", ".join(f"{word} {value}" for word, value in found)


def entry(name: str, field: FieldInfo) -> str:
    """Comment and line of one setting: commented out unless it is required."""
    limits = _limits(field)
    comment = f"{field.description}." + (f" {limits[0].upper()}{limits[1:]}." if limits else "")
    lines = textwrap.wrap(comment, width=116, initial_indent="# ", subsequent_indent="# ")
    key = PREFIX + name.upper()
    if name in EXAMPLES:
        lines.append(f"{key}={EXAMPLES[name]}")
    elif name in BETTER_AS_FILE:
        lines.append(f"#{key}_FILE={BETTER_AS_FILE[name]}")
    else:
        default = "" if field.default in (None, (), {}) else _text(field.default)
        lines.append(f"#{key}={default or OPTIONAL_EXAMPLES[name]}")
    return "\n".join(lines)


def render() -> str:
    """The whole file, settings in the order and groups of the class."""
    parts = [HEAD]
    group = ""
    for name, field in Settings.model_fields.items():
        extra = field.json_schema_extra
        assert isinstance(extra, dict), f"{name} has no group"
        if extra["group"] != group:
            group = str(extra["group"])
            parts.append(f"# ---- {group} {'-' * (72 - len(group))}\n")
        parts.append(entry(name, field) + "\n")
    return "\n".join(parts)


def main() -> int:
    text = render()
    if "--check" not in sys.argv:
        TARGET.write_text(text)
        return 0
    if TARGET.exists() and TARGET.read_text() == text:
        return 0
    print(".env.example differs from keeper/settings/model.py; run `make abis`")
    return 1


if __name__ == "__main__":
    sys.exit(main())
