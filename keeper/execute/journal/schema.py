"""The journal's tables. Integers beyond 64 bits are decimal text, so that every SQL database keeps them exactly."""

import json
from collections.abc import Mapping
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Dialect,
    ForeignKey,
    Integer,
    LargeBinary,
    MetaData,
    RowMapping,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
)

from keeper.model.intent import Attempt, Intent, IntentState, Outcome, Route

VERSION = 3
OLDEST_READ = 2  # what differs in version 3 is no table that a reader reads


class BigInt(TypeDecorator[int]):
    """An integer of any size, as decimal text."""

    impl = String(80)
    cache_ok = True

    def process_bind_param(self, value: int | None, dialect: Dialect) -> str | None:  # noqa: ARG002
        return None if value is None else str(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> int | None:  # noqa: ARG002
        return None if value is None else int(value)


METADATA = MetaData()

SCHEMA = Table("schema_version", METADATA, Column("version", Integer, primary_key=True))

INTENTS = Table(
    "intents",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("signer", LargeBinary(20), nullable=False, index=True),
    Column("chain_id", BigInteger, nullable=False),
    Column("state", String(16), nullable=False, index=True),
    Column("nonce", BigInteger, nullable=False),
    Column("account", LargeBinary(20), nullable=False),
    Column("kind", String(32), nullable=False),
    Column("subject", Text, nullable=False),
    Column("size", BigInt, nullable=False),
    Column("to", LargeBinary(20), nullable=False),
    Column("data", LargeBinary, nullable=False),
    Column("gas_limit", BigInteger, nullable=False),
    Column("bid", BigInt, nullable=False),
    Column("value_wad", BigInt, nullable=False),
    Column("planned_block", BigInteger, nullable=False),
    Column("deadline_block", BigInteger, nullable=False),
    Column("uses", Text, nullable=False),
    Column("spends", Text, nullable=False),
)

ATTEMPTS = Table(
    "attempts",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("intent_id", Integer, ForeignKey("intents.id"), nullable=False, index=True),
    Column("tx_hash", LargeBinary(32), nullable=False),
    Column("raw", LargeBinary, nullable=False),
    Column("max_fee", BigInt, nullable=False),
    Column("priority_fee", BigInt, nullable=False),
    Column("cancels", Boolean, nullable=False),
    Column("signed_block", BigInteger, nullable=False),
    Column("route", String(16), nullable=False, server_default=str(Route.PUBLIC)),  # since version 2
    Column("reply", String(16), nullable=False, default=""),  # the last answer of a node: a SendStatus
    Column("reply_reason", Text, nullable=False, default=""),
    # The same bytes may come again with another intent: one that was refused gave its nonce back.
    UniqueConstraint("intent_id", "tx_hash"),
)

OUTCOMES = Table(
    "outcomes",
    METADATA,
    Column("intent_id", Integer, ForeignKey("intents.id"), primary_key=True),
    Column("tx_hash", LargeBinary(32), nullable=False),
    Column("block_number", BigInteger, nullable=False, index=True),
    Column("block_hash", LargeBinary(32), nullable=False),
    Column("status", Integer, nullable=False),
    Column("gas_used", BigInteger, nullable=False),
    Column("effective_gas_price", BigInt, nullable=False),
    Column("profit", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("value_wad", BigInt, nullable=False),
    Column("bad_debt_wad", BigInt, nullable=False),
)

# Breakers by name, and the ends of transactions that they count: part of the schema since version 3, and made earlier.
HOLDS = Table(
    "holds",
    METADATA,
    Column("chain_id", BigInteger, primary_key=True),
    Column("signer", LargeBinary(20), primary_key=True),
    Column("name", String(16), primary_key=True),
    Column("reason", Text, nullable=False),  # empty: closed
    Column("since_s", BigInteger, nullable=False),
    Column("until_block", BigInteger),
)

ENDS = Table(
    "ends",
    METADATA,
    Column("chain_id", BigInteger, primary_key=True),
    Column("signer", LargeBinary(20), primary_key=True),
    Column("intent_id", Integer, primary_key=True),
    Column("time_s", BigInteger, nullable=False, index=True),
    Column("mined", Boolean, nullable=False),
    Column("reverted", Boolean, nullable=False),
    Column("loss_wad", BigInt, nullable=False),
    Column("gas_wad", BigInt, nullable=False),
)

# What was held when it was compared with the books last. Opening the breakers makes this table.
CAPITAL = Table(
    "capital",
    METADATA,
    Column("chain_id", BigInteger, primary_key=True),
    Column("signer", LargeBinary(20), primary_key=True),
    Column("block_number", BigInteger, nullable=False),
    Column("block_hash", LargeBinary(32), nullable=False),
    Column("nonce", BigInteger, nullable=False),
    Column("units", Text, nullable=False),  # by holder and token, 40 bytes
)

# Transactions that commands have sent with the signer's key: no intents. Opening the breakers makes this table.
COMMANDS = Table(
    "commands",
    METADATA,
    Column("chain_id", BigInteger, primary_key=True),
    Column("signer", LargeBinary(20), primary_key=True),
    Column("tx_hash", LargeBinary(32), primary_key=True),
)


def packed(amounts: Mapping[Any, int]) -> str:
    """Amounts by address or name as JSON, integers as text."""
    named = {key.hex() if isinstance(key, bytes) else key: str(amount) for key, amount in amounts.items()}
    return json.dumps(named, sort_keys=True)


def by_name(text: str) -> dict[str, int]:
    """Amounts by name, as `packed` wrote them."""
    return {key: int(amount) for key, amount in json.loads(text).items()}


def by_token(text: str) -> dict[bytes, int]:
    """Amounts by address, as `packed` wrote them."""
    return {bytes.fromhex(key): int(amount) for key, amount in json.loads(text).items()}


def attempt_row(attempt: Attempt) -> dict[str, Any]:
    values = {name: getattr(attempt, name) for name in Attempt.__dataclass_fields__}
    return {**values, "route": str(attempt.route)}


def attempt_of(row: RowMapping) -> Attempt:
    """Raises TypeError or ValueError for values that are none of an attempt's."""
    values = {name: row[name] for name in Attempt.__dataclass_fields__}
    return Attempt(**_typed(Attempt, {**values, "route": Route(row["route"])}))


def outcome_row(intent_id: int, outcome: Outcome) -> dict[str, Any]:
    values = {name: getattr(outcome, name) for name in Outcome.__dataclass_fields__}
    return {**values, "intent_id": intent_id, "profit": packed(outcome.profit)}


def outcome_of(row: RowMapping) -> Outcome:
    """Raises TypeError or ValueError for values that are none of an outcome's."""
    values = {name: row[name] for name in Outcome.__dataclass_fields__}
    return Outcome(**_typed(Outcome, {**values, "profit": by_token(row["profit"])}))


_PLAIN = [name for name in Intent.__dataclass_fields__ if name not in ("attempts", "outcome")]


def intent_of(row: RowMapping, attempts: tuple[Attempt, ...], outcome: Outcome | None) -> Intent:
    """Raises TypeError or ValueError for values that are none of an intent's."""
    values = {name: row[name] for name in _PLAIN}
    values["state"] = IntentState(row["state"])
    values["uses"], values["spends"] = by_name(row["uses"]), by_token(row["spends"])
    return Intent(**_typed(Intent, values), attempts=attempts, outcome=outcome)


def _typed(kind: type[Any], values: dict[str, Any]) -> dict[str, Any]:
    """The values; SQLite keeps a value of any type in any column. Raises TypeError for one of another type."""
    for name, value in values.items():
        expected = kind.__dataclass_fields__[name].type
        if expected in (bool, bytes, int, str) and type(value) is not expected:
            raise TypeError(f"column {name} holds {type(value).__name__} instead of {expected.__name__}")
    return values
