"""What an operator can set: names, defaults and limits. `.env.example` is generated from this class."""

from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

from pydantic import SecretStr, model_validator

from keeper.settings.chain import ChainSettings
from keeper.settings.types import (
    Address,
    Addresses,
    LevelName,
    Names,
    Pairs,
    SecretServiceUrl,
    ServiceUrls,
    setting,
)

DEVELOPMENT_CHAINS = frozenset({31337, 1337})


class Settings(ChainSettings):
    """Everything an operator can set, validated once. Groups and order are those of `.env.example`."""

    live: bool = setting(False, "Sending", "Send transactions. Without it nothing is signed and nothing is sent")
    keystore_file: Path | None = setting(None, "Sending", "Encrypted keystore (V3) of the signer")
    keystore_password: SecretStr | None = setting(
        None, "Sending", "Password of the keystore; better given as KEEPER_KEYSTORE_PASSWORD_FILE"
    )
    private_key: SecretStr | None = setting(
        None,
        "Sending",
        "Private key of the signer; better given as KEEPER_PRIVATE_KEY_FILE. "
        "In plain text it is refused on all chain ids except 31337 and 1337",
    )
    allow_plain_key: bool = setting(False, "Sending", "Accept KEEPER_PRIVATE_KEY in plain text on every chain")
    allow_open_secrets: bool = setting(
        False,
        "Sending",
        "Accept files of keys, passwords and URLs that other users can read, as containers mount secrets. Without it "
        "they are refused on all chain ids except 31337 and 1337",
    )
    allow_unchecked_calls: bool = setting(
        False,
        "Sending",
        "Send with a plug-in that does not say which calls it may make: the key then signs any call to its contracts",
    )
    remote_signer_url: SecretServiceUrl | None = setting(
        None, "Sending", "URL of a signer with Web3Signer's eth1 API; needs KEEPER_SIGNER_ADDRESS"
    )
    signer_address: str | None = setting(
        None,
        "Sending",
        "Address of the signer: which key the remote signer uses, and which key KEEPER_KMS_KEY_ID must name",
        pattern=r"^0x[0-9a-fA-F]{40}$",
    )
    treasury: str | None = setting(
        None,
        "Sending",
        "Address that owns the capital; not the signer. `keeper executor deploy` gives it to the executor, and an "
        "executor with another treasury is refused by `keeper run --live` and fails in `keeper doctor`",
        pattern=r"^0x[0-9a-fA-F]{40}$",
    )
    kms_key_id: str | None = setting(
        None, "Sending", "Key in AWS KMS (id, ARN or alias); needs liquidation-keeper[aws]"
    )
    kms_region: str | None = setting(
        None, "Sending", "AWS region of the KMS key, where the AWS configuration does not set it"
    )
    kms_endpoint_url: SecretServiceUrl | None = setting(
        None, "Sending", "Another URL of AWS KMS, such as an endpoint in a VPC"
    )
    signer_timeout_s: float = setting(
        2.0,
        "Sending",
        "Timeout of a signature, in seconds; then the transaction is skipped and its nonce is free again",
        gt=0,
        le=60,
    )

    relay_urls: ServiceUrls = setting(
        (),
        "Sending",
        "Comma-separated http(s) URLs of private relays, which all get each transaction; empty: public nodes get them",
    )
    relay_mode: Literal["private", "bundle"] = setting(
        "private",
        "Sending",
        "Method that sends to relays: private is eth_sendPrivateTransaction, bundle is eth_sendBundle",
    )
    relay_blocks: int = setting(
        3, "Sending", "Blocks to wait for relays before KEEPER_RELAY_FALLBACK applies", ge=1, le=100
    )
    relay_fallback: Literal["public", "cancel"] = setting(
        "cancel",
        "Sending",
        "After KEEPER_RELAY_BLOCKS: public sends to public nodes; cancel cancels, so that they never get it",
    )
    relay_min_usd: Decimal = setting(
        Decimal(0),
        "Sending",
        "Liquidations worth less than so many USD are sent to public nodes at once",
        ge=0,
        le=1_000_000_000,
    )

    target_health: Decimal = setting(
        Decimal("1.10"), "Liquidation", "Health that a partial liquidation restores", ge=1, le=10
    )
    min_profit_usd: Decimal = setting(
        Decimal(0),
        "Liquidation",
        "Least profit of a liquidation in USD, net of gas and exit costs; a negative value accepts losses",
        ge=-1_000_000,
        le=1_000_000,
    )
    bad_debt_weight: Decimal = setting(
        Decimal(0),
        "Liquidation",
        "Dollars of profit that one dollar of prevented bad debt counts as in the ranking: "
        "0 for profit only, 1 or more for a protocol's own keeper",
        ge=0,
        le=1000,
    )
    max_slip: Decimal = setting(
        Decimal("0.05"),
        "Liquidation",
        "Share of the quoted reward, and of each sale's quoted proceeds, that may be gone when a liquidation executes; "
        "below that it reverts. 1 is no bound",
        ge=0,
        le=1,
    )
    deadline_blocks: int = setting(
        6, "Liquidation", "Blocks after which a liquidation that is not mined is cancelled", ge=1, le=1000
    )
    cooldown_blocks: int = setting(
        3,
        "Liquidation",
        "Blocks in which an account is skipped after a failed attempt; twice as many after each further revert",
        ge=0,
        le=10_000,
    )
    flash_loans: bool = setting(
        True, "Liquidation", "Pay for liquidations with flash loans, where protocol and executor support them"
    )
    max_batch: int = setting(
        1,
        "Liquidation",
        "Most liquidations in one transaction, where an executor contract is used",
        ge=1,
        le=50,
    )
    max_in_flight: int = setting(16, "Liquidation", "Most transactions in flight at once", ge=1, le=1000)

    max_fee_gwei: Decimal = setting(Decimal(500), "Gas", "Hard cap on maxFeePerGas", gt=0, le=1_000_000)
    priority_fee_gwei: Decimal = setting(Decimal(1), "Gas", "Priority fee of a first attempt", ge=0, le=10_000)
    gas_share: Decimal = setting(
        Decimal("0.5"), "Gas", "Share of a block's gas limit that the keeper may use", gt=0, le=1
    )
    base_fee_denominator: int = setting(8, "Gas", "The chain's base-fee change denominator", ge=2, le=10_000)
    base_fee_elasticity: int = setting(2, "Gas", "The chain's gas-target elasticity", ge=1, le=100)
    native_price_usd: Decimal | None = setting(
        None,
        "Gas",
        "Price of the native coin in USD; when not set, that of KEEPER_NATIVE_SYMBOL",
        gt=0,
        le=10_000_000,
    )
    native_symbol: str = setting(
        "ETH", "Gas", "Market or collateral of the protocol whose price is that of the native coin"
    )

    data_dir: Path = setting(Path("keeper-data"), "State", "Directory of the journal and other files")
    database_url: SecretStr = setting(
        SecretStr("sqlite:///keeper.db"),
        "State",
        "Journal: sqlite:///file, relative to KEEPER_DATA_DIR, or postgresql+psycopg://user:password@host/database",
    )
    allow_plain_database: bool = setting(
        False, "State", "Accept a database on another machine without sslmode=verify-full in its URL"
    )
    standby: bool = setting(
        False, "State", "While another keeper uses the signer, follow the chain and take over when the other one ends"
    )
    lease_s: float | None = setting(
        None,
        "State",
        "PostgreSQL: seconds without renewal until another keeper takes over. A keeper that ends releases the lease at "
        "once. Default: half the block time, 1 to 6",
        ge=0.2,
        le=600,
    )

    max_price_move: Decimal = setting(
        Decimal("0.30"), "Safety", "A price that moves by a larger share within one block is reported", gt=0, le=10
    )
    max_reverts: int = setting(
        5, "Safety", "Reverts in a row after which sending stops; lost races do not count", ge=1, le=1000
    )
    breaker_reset_blocks: int = setting(
        50,
        "Safety",
        "Blocks after which the breakers reverts, journal and rebuilt close by themselves",
        ge=1,
        le=1_000_000,
    )
    max_loss_usd_day: Decimal | None = setting(
        Decimal(2_000),
        "Safety",
        "USD that transactions may lose in 24 hours before sending stops; gains are not deducted from losses. "
        "The default pays for about 65 lost races at 100 gwei, 13 at 500 gwei (100,000 gas, 3,000 USD per coin): "
        "more is rarely competition alone, and sending stops until keeper resume",
        gt=0,
    )
    max_gas_usd_hour: Decimal | None = setting(
        Decimal(5_000),
        "Safety",
        "USD of gas in an hour, also of profitable transactions, above which sending stops, until the last hour cost "
        "less. The default pays for about 40 liquidations at 100 gwei (400,000 gas, 3,000 USD per coin): set what "
        "the worst hour of this chain may cost",
        gt=0,
    )
    max_notional_usd: Decimal | None = setting(
        None, "Safety", "Largest notional of one transaction, in USD, by what its calldata closes or repays", gt=0
    )
    max_notional_usd_block: Decimal | None = setting(
        None, "Safety", "Largest notional of all new transactions of one block, in USD", gt=0
    )
    max_messages_block: int | None = setting(
        None,
        "Safety",
        "Most transactions signed in one block, replacements included; cancellations and approvals count, and are "
        "always signed",
        ge=1,
    )
    allow_accounts: Addresses = setting((), "Safety", "Comma-separated accounts: no others are liquidated")
    deny_accounts: Addresses = setting((), "Safety", "Comma-separated accounts that are never liquidated")
    allow_assets: Names = setting(
        (),
        "Safety",
        "Comma-separated addresses of collaterals, debts and base tokens, or names of margin_engine's markets: "
        "nothing else is liquidated",
    )
    deny_assets: Names = setting((), "Safety", "The same for assets that are never liquidated")
    check_capital: bool = setting(
        True,
        "Safety",
        "Compare balances with the books after each block in which a transaction of this keeper was mined; stop "
        "sending when capital left without a booked reason. Turn it off only on a chain that charges what receipts do "
        "not show",
    )
    missed_blocks: int = setting(
        12,
        "Safety",
        "Blocks in a row with a liquidation worth sending and none of this keeper mined, before an alert",
        ge=1,
        le=10_000,
    )
    price_policy: Literal["strict", "follow"] = setting(
        "strict",
        "Safety",
        "Prices older than KEEPER_MAX_PRICE_AGE_S: strict skips accounts that depend on them; "
        "follow liquidates what is also profitable at the reference price",
    )
    max_price_age_s: int = setting(
        0, "Safety", "Seconds after which a price is stale, in addition to the protocol's own rule; 0 is off", ge=0
    )
    reference_feeds: Pairs = setting(
        {},
        "Safety",
        "Independent Chainlink feeds to compare prices with, as label=address pairs: ETH=0x...,BTC=0x...",
    )
    max_price_deviation: Decimal = setting(
        Decimal("0.05"), "Safety", "Share by which a price may differ from its reference", gt=0, le=1
    )
    deviation_policy: Literal["hold", "follow"] = setting(
        "hold",
        "Safety",
        "Prices that differ from their reference or are at their feed's bounds: hold skips their accounts; "
        "follow liquidates what is also profitable at the reference price",
    )
    sequencer_feed: Address | None = setting(
        None, "Safety", "Chainlink's uptime feed of the chain's sequencer; nothing is sent while the sequencer is down"
    )
    sequencer_grace_s: int = setting(
        3600, "Safety", "Seconds in which nothing is sent after the sequencer is up again", ge=0, le=86_400
    )
    stuck_s: float = setting(
        3.0,
        "Safety",
        "Seconds for which the event loop may be blocked before `keeper.stuck` is reported",
        gt=0,
        le=3600,
    )
    audit_accounts: int = setting(8, "Safety", "Accounts compared with the contract in every block", ge=0, le=1000)
    undo_blocks: int = setting(
        128,
        "Safety",
        "Deepest reorg, in blocks, that is rolled back; after a deeper one all accounts are rebuilt from logs",
        ge=1,
        le=10_000,
    )

    log_level: LevelName = setting(
        "info", "Watching", "Least level shown on the terminal: debug, info, warning, error or critical"
    )
    log_json: str | None = setting(None, "Watching", "Path of the JSON-lines log; - for standard error")
    alert_urls: ServiceUrls = setting(
        (), "Watching", "Comma-separated webhook URLs: Slack, Discord, or any that accepts JSON"
    )
    alert_level: LevelName = setting("error", "Watching", "Least level that is sent to webhooks")
    alert_repeat_s: float = setting(300.0, "Watching", "Seconds until the same alert is sent again", ge=0, le=86_400)
    metrics_port: int = setting(0, "Watching", "Port of the Prometheus metrics on 127.0.0.1; 0 is off", ge=0, le=65_535)
    idle_s: float = setting(60.0, "Watching", "Seconds between keeper.idle heartbeats", gt=0, le=86_400)

    @classmethod
    def settings_customise_sources(  # type: ignore[override]
        cls, _: Any, init_settings: Any, **__: Any
    ) -> tuple[Any, ...]:
        """Only what `load_settings` read: it knows `KEEPER_X_FILE` and refuses unknown keys."""
        return (init_settings,)

    @model_validator(mode="after")
    def _one_signer(self) -> "Settings":
        given = self.signers
        if len(given) > 1:
            raise ValueError(f"{given[0]} and {given[1]} are both set: give one signer")
        if self.keystore_file and not self.keystore_password:
            raise ValueError("KEEPER_KEYSTORE_FILE needs KEEPER_KEYSTORE_PASSWORD_FILE")
        if self.remote_signer_url and not self.signer_address:
            raise ValueError("KEEPER_REMOTE_SIGNER_URL needs KEEPER_SIGNER_ADDRESS: set both")
        if self.signer_address and not (self.remote_signer_url or self.kms_key_id):
            raise ValueError("KEEPER_SIGNER_ADDRESS needs KEEPER_REMOTE_SIGNER_URL or KEEPER_KMS_KEY_ID: set one")
        return self

    @property
    def signers(self) -> list[str]:
        """Settings that name a signer and are set: none, or one."""
        given = {
            "KEEPER_KEYSTORE_FILE": self.keystore_file,
            "a private key": self.private_key,
            "KEEPER_REMOTE_SIGNER_URL": self.remote_signer_url,
            "KEEPER_KMS_KEY_ID": self.kms_key_id,
        }
        return [name for name, value in given.items() if value]
