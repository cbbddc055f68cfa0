"""Settings from the environment and `.env`: validated here, at the boundary, once."""

import os
import re
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from keeper.errors import OperatorError

PREFIX = "KEEPER_"
DEVELOPMENT_CHAINS = frozenset({31337, 1337})

Urls = Annotated[tuple[SecretStr, ...], NoDecode]
Pairs = Annotated[dict[str, str], NoDecode]
_ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}")


def _setting(default: Any, group: str, text: str, **limits: Any) -> Any:
    return Field(default, description=text, json_schema_extra={"group": group}, **limits)


class Settings(BaseSettings):
    """Everything an operator can set. `.env.example` is generated from this class."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_file=None, extra="forbid", frozen=True, hide_input_in_errors=True
    )

    rpc_urls: Urls = _setting(
        ..., "Chain", "Comma-separated http(s), ws(s) URLs or IPC paths of nodes, in order of preference", min_length=1
    )
    chain_id: int = _setting(..., "Chain", "Refused when a node answers another", gt=0)
    poll_interval_s: float = _setting(
        1.0, "Chain", "Seconds between looks for a new block where no WebSocket or IPC endpoint is given", gt=0, le=60
    )
    request_timeout_s: float = _setting(5.0, "Chain", "Seconds after which a request has failed", gt=0, le=120)
    max_lag_blocks: int = _setting(
        3, "Chain", "Blocks that a node may be behind the newest head before others are asked instead", ge=0, le=1000
    )

    protocol: str = _setting(
        ...,
        "Protocol",
        "margin_engine, curie, aave_v3 (docs/protocols.md), or an installed plug-in's name",
        min_length=1,
    )
    deployment: Path = _setting(
        ..., "Protocol", "Path of the deployment file: which addresses it needs, docs/protocols.md says"
    )

    live: bool = _setting(False, "Sending", "Send transactions. Without it nothing is signed and nothing leaves")
    keystore_file: Path | None = _setting(None, "Sending", "Encrypted keystore (V3) of the signer")
    keystore_password: SecretStr | None = _setting(
        None, "Sending", "Its password; better given as KEEPER_KEYSTORE_PASSWORD_FILE"
    )
    private_key: SecretStr | None = _setting(
        None,
        "Sending",
        "Raw key; better given as KEEPER_PRIVATE_KEY_FILE. As plain text refused on chain ids but 31337 and 1337",
    )
    allow_plain_key: bool = _setting(False, "Sending", "Accept KEEPER_PRIVATE_KEY on any chain")
    remote_signer_url: SecretStr | None = _setting(
        None, "Sending", "URL of a signer with Web3Signer's eth1 API; needs KEEPER_SIGNER_ADDRESS"
    )
    signer_address: str | None = _setting(
        None, "Sending", "Address whose key the remote signer holds", pattern=r"^0x[0-9a-fA-F]{40}$"
    )
    kms_key_id: str | None = _setting(None, "Sending", "Key in AWS KMS (id, ARN or alias); needs keeper[aws]")
    kms_region: str | None = _setting(None, "Sending", "Its region, where the AWS configuration does not say")
    kms_endpoint_url: str | None = _setting(None, "Sending", "Another endpoint of KMS, such as one in a VPC")
    signer_timeout_s: float = _setting(
        2.0, "Sending", "Seconds that a signature may take; then it is left out, and costs no nonce", gt=0, le=60
    )

    relay_urls: Urls = _setting(
        (), "Sending", "Comma-separated http(s) URLs of private relays, all asked at once; none: everything is public"
    )
    relay_mode: Literal["private", "bundle"] = _setting(
        "private", "Sending", "What relays are sent: private is eth_sendPrivateTransaction, bundle is eth_sendBundle"
    )
    relay_blocks: int = _setting(3, "Sending", "Blocks that relays have to get a transaction mined", ge=1, le=100)
    relay_fallback: Literal["public", "cancel"] = _setting(
        "public", "Sending", "What follows then: public sends it to the nodes, cancel never shows it to them"
    )
    relay_min_usd: Decimal = _setting(
        Decimal(0), "Sending", "Liquidations worth less go to public nodes at once", ge=0, le=1_000_000_000
    )

    target_health: Decimal = _setting(
        Decimal("1.10"), "Liquidation", "Health that a partial liquidation restores", ge=1, le=10
    )
    min_profit_usd: Decimal = _setting(
        Decimal(0),
        "Liquidation",
        "Least profit of a liquidation, net of gas and exit costs; negative pays for solvency",
        ge=-1_000_000,
        le=1_000_000,
    )
    bad_debt_weight: Decimal = _setting(
        Decimal(0),
        "Liquidation",
        "What a dollar of bad debt prevented adds to an account's rank: "
        "0 for profit only, 1 and more for a protocol's own keeper",
        ge=0,
        le=1000,
    )
    deadline_blocks: int = _setting(6, "Liquidation", "Give up (and cancel) after so many blocks", ge=1, le=1000)
    cooldown_blocks: int = _setting(
        3, "Liquidation", "Blocks to leave an account alone after a failed attempt", ge=0, le=10_000
    )
    flash_loans: bool = _setting(
        True, "Liquidation", "Borrow what a liquidation needs for its duration, where protocol and executor can"
    )
    max_batch: int = _setting(
        1,
        "Liquidation",
        "Most liquidations in one transaction, where an executor makes them",
        ge=1,
        le=50,
    )
    max_in_flight: int = _setting(16, "Liquidation", "Most transactions on their way at once", ge=1, le=1000)

    max_fee_gwei: Decimal = _setting(Decimal(500), "Gas", "Hard cap on maxFeePerGas", gt=0, le=1_000_000)
    priority_fee_gwei: Decimal = _setting(Decimal(1), "Gas", "Priority fee of a first attempt", ge=0, le=10_000)
    gas_share: Decimal = _setting(Decimal("0.5"), "Gas", "Share of a block's gas limit that may be used", gt=0, le=1)
    base_fee_denominator: int = _setting(8, "Gas", "The chain's base-fee change denominator", ge=2, le=10_000)
    base_fee_elasticity: int = _setting(2, "Gas", "The chain's gas-target elasticity", ge=1, le=100)
    native_price_usd: Decimal | None = _setting(
        None,
        "Gas",
        "Price of the native coin; when not set, the price feed named by KEEPER_NATIVE_SYMBOL",
        gt=0,
        le=10_000_000,
    )
    native_symbol: str = _setting("ETH", "Gas", "Market or collateral of the protocol that prices the native coin")

    data_dir: Path = _setting(Path("keeper-data"), "State", "Directory of the journal and other files")
    database_url: SecretStr = _setting(
        SecretStr("sqlite:///keeper.db"),
        "State",
        "Journal: sqlite:///file, relative to KEEPER_DATA_DIR, or postgresql+psycopg://user:password@host/database",
    )
    standby: bool = _setting(
        False, "State", "While another keeper holds the signer, wait with a warm book and take over when it is gone"
    )
    lease_s: float | None = _setting(
        None,
        "State",
        "PostgreSQL: seconds after which a keeper that hangs is succeeded (one that dies is at once); "
        "when not set, half the time between blocks, 1 to 6",
        ge=0.2,
        le=600,
    )

    max_price_move: Decimal = _setting(
        Decimal("0.30"), "Safety", "A price that moves by a larger share within a block is reported", gt=0, le=10
    )
    max_reverts: int = _setting(5, "Safety", "Reverts in a row after which sending is held", ge=1, le=1000)
    breaker_reset_blocks: int = _setting(
        50, "Safety", "Blocks after which a held keeper tries again", ge=1, le=1_000_000
    )
    max_loss_usd_day: Decimal | None = _setting(
        None,
        "Safety",
        "Dollars that transactions may lose in 24 hours before sending is held; gains do not make up for losses",
        gt=0,
    )
    max_gas_usd_hour: Decimal | None = _setting(
        None, "Safety", "Dollars of gas in an hour above which sending is held until the hour is cheaper", gt=0
    )
    missed_blocks: int = _setting(
        12, "Safety", "Blocks with something worth sending and nothing of ours mined, before an alert", ge=1, le=10_000
    )
    price_policy: Literal["strict", "follow"] = _setting(
        "strict",
        "Safety",
        "Prices older than KEEPER_MAX_PRICE_AGE_S: strict leaves their accounts alone; "
        "follow acts on what is profitable at the reference price as well",
    )
    max_price_age_s: int = _setting(
        0, "Safety", "Seconds after which a price counts as stale, beside the protocol's own rule; 0 is off", ge=0
    )
    reference_feeds: Pairs = _setting(
        {},
        "Safety",
        "Independent Chainlink feeds to compare prices with, as label=address pairs: ETH=0x...,BTC=0x...",
    )
    max_price_deviation: Decimal = _setting(
        Decimal("0.05"), "Safety", "Share by which a price may differ from its reference", gt=0, le=1
    )
    deviation_policy: Literal["hold", "follow"] = _setting(
        "hold",
        "Safety",
        "Prices that differ from their reference or sit at their feed's bounds: hold leaves their accounts alone; "
        "follow acts on what is profitable at the reference price as well",
    )
    sequencer_feed: str | None = _setting(
        None, "Safety", "Chainlink's uptime feed of the chain's sequencer: nothing is sent while it is down"
    )
    sequencer_grace_s: int = _setting(
        3600, "Safety", "Seconds after the sequencer is back in which nothing is sent", ge=0, le=86_400
    )
    stuck_s: float = _setting(
        3.0, "Safety", "Seconds for which the program may not react before the log says so", gt=0, le=3600
    )
    audit_accounts: int = _setting(8, "Safety", "Accounts compared with the contract in every block", ge=0, le=1000)
    undo_blocks: int = _setting(128, "Safety", "Deepest reorg that is rolled back without a resync", ge=1, le=10_000)

    log_level: str = _setting("info", "Watching", "debug, info, warning, error or critical, for the terminal")
    log_json: str | None = _setting(None, "Watching", "Path of the JSON-lines log; - for standard error")
    alert_urls: Urls = _setting((), "Watching", "Webhook URLs: Slack, Discord, or any that takes JSON")
    alert_level: str = _setting("error", "Watching", "Least severity that is sent to webhooks")
    alert_repeat_s: float = _setting(
        300.0, "Watching", "Seconds in which the same alert is not sent again", ge=0, le=86_400
    )
    metrics_port: int = _setting(
        0, "Watching", "Port of the Prometheus metrics on 127.0.0.1; 0 is off", ge=0, le=65_535
    )
    idle_s: float = _setting(60.0, "Watching", "Seconds between keeper.idle heartbeats", gt=0, le=86_400)

    @classmethod
    def settings_customise_sources(  # type: ignore[override]
        cls, _: Any, init_settings: Any, **__: Any
    ) -> tuple[Any, ...]:
        """Only what `load_settings` read: it knows `KEEPER_X_FILE` and refuses unknown keys."""
        return (init_settings,)

    @field_validator("rpc_urls", "alert_urls", "relay_urls", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value

    @field_validator("reference_feeds", mode="before")
    @classmethod
    def _pairs(cls, value: object) -> object:
        """`ETH=0x...,BTC=0x...`; addresses as 0x and 40 hex digits."""
        if not isinstance(value, str):
            return value
        pairs = [part.strip().partition("=") for part in value.split(",") if part.strip()]
        for label, _, address in pairs:
            if not label or not _ADDRESS.fullmatch(address):
                raise ValueError("must be label=address pairs, as in ETH=0x...,BTC=0x...")
        return {label: address for label, _, address in pairs}

    @field_validator("sequencer_feed")
    @classmethod
    def _address(cls, value: str | None) -> str | None:
        if value is not None and not _ADDRESS.fullmatch(value):
            raise ValueError("must be an address")
        return value

    @field_validator("log_level", "alert_level")
    @classmethod
    def _known_level(cls, value: str) -> str:
        if value.lower() not in ("debug", "info", "warning", "error", "critical"):
            raise ValueError("must be debug, info, warning, error or critical")
        return value.lower()

    @field_validator("rpc_urls")
    @classmethod
    def _known_scheme(cls, value: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
        for url in value:
            text = url.get_secret_value()
            if "://" in text:
                _check_url(text, ("http", "https", "ws", "wss"), "must be http(s) or ws(s) URLs or IPC paths")
        return value

    @field_validator("alert_urls")
    @classmethod
    def _known_webhook(cls, value: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
        for url in value:
            _check_url(url.get_secret_value(), ("http", "https"), "must be http(s) URLs")
        return value

    @model_validator(mode="after")
    def _one_signer(self) -> "Settings":
        given = self.signers
        if len(given) > 1:
            raise ValueError(f"{given[0]} and {given[1]} are both set: give one signer")
        if self.keystore_file and not self.keystore_password:
            raise ValueError("KEEPER_KEYSTORE_FILE needs KEEPER_KEYSTORE_PASSWORD_FILE")
        if bool(self.remote_signer_url) != bool(self.signer_address):
            raise ValueError("KEEPER_REMOTE_SIGNER_URL and KEEPER_SIGNER_ADDRESS need each other: set both")
        return self

    @property
    def signers(self) -> list[str]:
        """The keys of the signers that are set: none, or one."""
        given = {
            "KEEPER_KEYSTORE_FILE": self.keystore_file,
            "a private key": self.private_key,
            "KEEPER_REMOTE_SIGNER_URL": self.remote_signer_url,
            "KEEPER_KMS_KEY_ID": self.kms_key_id,
        }
        return [name for name, value in given.items() if value]

    @field_validator("remote_signer_url", "kms_endpoint_url", "relay_urls")
    @classmethod
    def _is_http(cls, value: Any) -> Any:
        for url in value if isinstance(value, tuple) else [value]:
            text = url.get_secret_value() if isinstance(url, SecretStr) else url
            if text is not None and not text.startswith(("http://", "https://")):
                raise ValueError("must be http(s) URLs")
        return value


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


def read_environment(env_file: Path | None = Path(".env")) -> dict[str, str]:
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
    fields = Settings.model_fields
    for name in [name for name in values if name.endswith("_file") and name not in fields]:
        target = name.removesuffix("_file")
        if target not in fields:
            continue
        key = PREFIX + name.upper()
        if target in values:
            raise OperatorError(f"{PREFIX}{target.upper()} and {key} are both set: keep one")
        values[target] = _read_file(Path(values.pop(name)), key)
        if target == "private_key":
            values["_private_key_from_file"] = "1"
    return values


def _read_file(path: Path, key: str) -> str:
    try:
        return path.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not a text file"
        raise OperatorError(f"{key}: cannot read {path}: {reason}") from None


def load_settings(env_file: Path | None = Path(".env"), **overrides: Any) -> Settings:
    """Settings from `.env`, the environment and keyword overrides (which win).

    Raises OperatorError, one line that names the key and says what to do.
    """
    values: dict[str, Any] = {**read_environment(env_file), **overrides}
    key_from_file = values.pop("_private_key_from_file", None)
    unknown = sorted(set(values) - set(Settings.model_fields))
    if unknown:
        raise OperatorError(_unknown(unknown[0]))
    values = {name: value for name, value in values.items() if value != ""}
    try:
        settings = Settings(**values)
    except ValidationError as error:
        raise OperatorError(_explain(error)) from None
    plain = settings.private_key and not key_from_file and not settings.allow_plain_key
    if plain and settings.chain_id not in DEVELOPMENT_CHAINS:
        raise OperatorError(
            f"KEEPER_PRIVATE_KEY is refused on chain {settings.chain_id}: use KEEPER_KEYSTORE_FILE or "
            "KEEPER_PRIVATE_KEY_FILE, or set KEEPER_ALLOW_PLAIN_KEY=true"
        )
    return settings


def _unknown(name: str) -> str:
    from difflib import get_close_matches

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
