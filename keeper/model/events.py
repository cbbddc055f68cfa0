"""Log events: stable codes with a level, what they mean, and what an operator does. `docs/events.md` is made from this.

Stages do not log. They hand `Event`s to an `Emit` that the composition root gives them; `keeper/observe` listens.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Level(StrEnum):
    """Severity of an event. `critical` needs a person now."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"
    CRITICAL = "critical"


@dataclass(frozen=True, slots=True)
class EventKind:
    """What a code means, its fields beside the common ones, and what to do about it."""

    code: str
    level: Level
    meaning: str
    fields: tuple[str, ...]
    action: str


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened. Field values are JSON types; integers beyond 2**53 and bytes are given as strings."""

    kind: EventKind
    message: str
    block: int | None = None
    fields: Mapping[str, Any] = field(default_factory=dict)


Emit = Callable[[Event], None]

_NOTHING = "Nothing."
EVENTS: dict[str, EventKind] = {}


def _kind(code: str, level: Level, meaning: str, fields: str = "", action: str = _NOTHING) -> EventKind:
    EVENTS[code] = EventKind(code, level, meaning, tuple(fields.split()), action)
    return EVENTS[code]


KEEPER_STARTED = _kind("keeper.started", Level.INFO, "The daemon began.", "version protocol chain_id live signer")
KEEPER_STOPPED = _kind(
    "keeper.stopped",
    Level.INFO,
    "The daemon ended.",
    "reason",
    "If you did not stop it: read the reason, start it again.",
)
KEEPER_IDLE = _kind(
    "keeper.idle",
    Level.INFO,
    "Heartbeat: a quiet market is not a broken keeper.",
    "accounts nearest_health nearest_account head_age_s in_flight",
    "Alert when it stops coming.",
)
HEAD_NEW = _kind(
    "head.new", Level.DEBUG, "A new block was applied.", "hash timestamp base_fee_wei logs unsafe elapsed_ms"
)
HEAD_REORG = _kind(
    "head.reorg",
    Level.WARNING,
    "The chain replaced blocks; the book was rolled back and followed.",
    "depth dropped adopted",
    "Nothing, unless it is frequent or deep: then look at the node and its peers.",
)
HEAD_DEEP_REORG = _kind(
    "head.deep_reorg",
    Level.ERROR,
    "The chain replaced more blocks than can be rolled back; "
    "everything was read again before anything new was planned.",
    "depth dropped adopted",
    "Look at the chain's own status and at the node: such a reorg is rare. Compare the books with `keeper pnl`.",
)
HEAD_STALLED = _kind(
    "head.stalled",
    Level.ERROR,
    "No new block for longer than expected.",
    "age_s endpoint",
    "Check the node and the chain's own status.",
)
NODE_DOWN = _kind(
    "node.down", Level.ERROR, "An endpoint does not answer.", "endpoint error", "Check the node; add another endpoint."
)
NODE_LAGGING = _kind(
    "node.lagging", Level.WARNING, "An endpoint is behind the others.", "endpoint behind", "Check the node's sync."
)
NODE_DISAGREES = _kind(
    "node.disagrees",
    Level.CRITICAL,
    "Two nodes have different blocks at a height that no reorg reaches. Nothing new is planned.",
    "endpoint height hash other_hash",
    "Find out which one is right (another node, an explorer) and take the other out of KEEPER_RPC_URLS.",
)
CHAIN_UNREADY = _kind(
    "chain.unready",
    Level.ERROR,
    "What the nodes say cannot be acted on: all are down or behind, the head stands still, or they disagree. "
    "Nothing new is planned; what is on its way is followed.",
    "reason",
    "Read the reason; it goes on by itself when a node can be relied on again. Add another endpoint.",
)
CHAIN_READY = _kind("chain.ready", Level.INFO, "The nodes can be relied on again; planning goes on.")
BLOCK_SKIPPED = _kind(
    "block.skipped",
    Level.ERROR,
    "A block could not be handled: no node gave a usable answer. It is tried again, unless a newer one comes first.",
    "error",
    "Read the error. If it repeats, check the nodes or add another endpoint.",
)
BOOK_SYNCED = _kind(
    "book.synced", Level.INFO, "All accounts were rebuilt from logs.", "accounts logs from_block elapsed_s"
)
BOOK_PARITY_FAILED = _kind(
    "book.parity_failed",
    Level.CRITICAL,
    "Local health differs from the contract's. Nothing is sent any more.",
    "account difference",
    "Do not resume blindly: keep the log, compare the account by hand, report it. "
    "A fresh sync that agrees points to a missed log.",
)
PRICE_STALE = _kind(
    "price.stale",
    Level.WARNING,
    "A price cannot be used: too old, zero, negative or unreadable. Accounts that depend on it are on hold.",
    "label feed problem price updated_at",
    "Check the feed; its protocol cannot liquidate these accounts either.",
)
PRICE_DEVIATES = _kind(
    "price.deviates",
    Level.WARNING,
    "A price moved further within one block than the configured limit.",
    "label feed price previous change_bps",
    "Compare with other venues; hold the keeper if the feed is wrong.",
)
ACCOUNT_UNSAFE = _kind(
    "account.unsafe", Level.INFO, "An account became liquidatable.", "account health_wad equity requirement"
)
PLAN_MADE = _kind(
    "plan.made",
    Level.INFO,
    "A liquidation was chosen.",
    "account kind subject size value_usd health_before_wad health_after_wad max_fee_wei live",
)
PLAN_REJECTED = _kind(
    "plan.rejected",
    Level.INFO,
    "An account that is unsafe, or that cannot be judged, is left alone, with an enumerated reason.",
    "account reason health_wad",
    "Look at repeated ones: `insufficient_funds` and `fee_cap` cost money. `unsupported` is what the adapter does not "
    "do exactly: the message names it (`docs/protocols.md`).",
)
TX_SENT = _kind("tx.sent", Level.INFO, "A transaction left.", "intent account nonce hash max_fee_wei priority_fee_wei")
TX_REPLACED = _kind(
    "tx.replaced",
    Level.INFO,
    "A transaction was replaced at a higher fee.",
    "intent account nonce hash max_fee_wei priority_fee_wei",
)
TX_PUBLISHED = _kind(
    "tx.published",
    Level.WARNING,
    "Relays refused a transaction, or did not get it mined in time: the same nonce goes to public nodes.",
    "intent account nonce hash",
    "Look at the relays if it is frequent: liquidations are late, and everybody sees them.",
)
TX_MINED = _kind(
    "tx.mined",
    Level.INFO,
    "A liquidation was mined.",
    "intent account nonce hash gas_used effective_gas_price_wei profit profit_usd bad_debt_usd",
)
TX_REVERTED = _kind(
    "tx.reverted",
    Level.WARNING,
    "A liquidation was mined and failed; its gas is lost.",
    "intent account nonce hash reason gas_used",
    "One is competition. Several in a row open the breaker: read the reasons.",
)
TX_CANCELLED = _kind(
    "tx.cancelled",
    Level.INFO,
    "An intent ended without a liquidation; its nonce is free or burnt.",
    "intent account nonce reason",
)
TX_UNKNOWN = _kind(
    "tx.unknown",
    Level.WARNING,
    "No node said whether it took the transaction. The nonce is kept and the bytes are sent again.",
    "intent account nonce hash error",
    "Check the endpoints if it repeats.",
)
TX_REFUSED = _kind(
    "tx.refused",
    Level.WARNING,
    "A node refused a transaction.",
    "intent account nonce hash reason error",
    "Read the reason.",
)
TX_STUCK = _kind(
    "tx.stuck",
    Level.ERROR,
    "A transaction waits at the highest fee that it is worth or may cost. It is cancelled at its deadline.",
    "intent account nonce max_fee_wei base_fee_wei",
    "Raise KEEPER_MAX_FEE_GWEI if liquidations are still worth it at this base fee.",
)
TX_SUPERSEDED = _kind(
    "tx.superseded",
    Level.CRITICAL,
    "A nonce was used by a transaction that this keeper did not send. Sending is held.",
    "intent account nonce",
    "Find out who else holds the key. If it was you, `keeper resume`; if not, move the funds.",
)
TX_REORGED = _kind(
    "tx.reorged",
    Level.WARNING,
    "The block of a mined transaction is no longer part of the chain. It is followed again.",
    "intent account nonce hash",
)
LEASE_ACQUIRED = _kind(
    "lease.acquired", Level.INFO, "This keeper has the right to write the journal, and sends.", "lease"
)
LEASE_LOST = _kind(
    "lease.lost",
    Level.ERROR,
    "This keeper sends nothing more: another took over, or its journal failed. It stands by, and takes up again when "
    "the journal is free.",
    "reason",
    "Read the reason. Another keeper took over: find out why this one hung. A journal that failed: free its disk, or "
    "mend its database.",
)
LEASE_WAITING = _kind(
    "lease.waiting", Level.INFO, "This keeper follows the chain and waits for the right to send.", "reason"
)
JOURNAL_UNAVAILABLE = _kind(
    "journal.unavailable",
    Level.ERROR,
    "A block could not be handled because the journal takes no write. Nothing is signed or sent until it does; the "
    "block is tried again.",
    "error",
    "Free the disk, end the program that locks the file, or repair the database. The keeper continues by itself.",
)
JOURNAL_REBUILT = _kind(
    "journal.rebuilt",
    Level.CRITICAL,
    "The journal's file was damaged. It was moved aside and a new one begun, with nonces as the chain has them. "
    "Sending is held for KEEPER_BREAKER_RESET_BLOCKS blocks, until what was on its way is mined or gone.",
    "moved_to",
    "Look at the disk. Keep the damaged file: it holds the books so far, and what was on its way when it broke. "
    "If the kill switch was on, pull it again.",
)
FUNDS_LOW = _kind(
    "funds.low",
    Level.ERROR,
    "The keeper's balance does not cover what it may have to spend. Plans that need it are not sent.",
    "holder token balance needed",
    "Send `token` to `holder`: the executor where there is one, else the signer. The native coin, which pays for gas, "
    "always goes to the signer. Amounts are in the token's smallest unit. The keeper goes on by itself once funded.",
)
SIGNER_LIMITED = _kind(
    "signer.limited",
    Level.ERROR,
    "Nodes take only one transaction of this signer at a time: the account has code. The keeper sends one by one.",
    "reason",
    "Revoke the delegation (EIP-7702), or use a plain account as the signer; then restart.",
)
BREAKER_OPEN = _kind(
    "breaker.open",
    Level.CRITICAL,
    "Sending is held, by the breaker named; what is on its way is followed to its end.",
    "breaker reason",
    "Read the reason; docs/operations.md says which breakers close by themselves and which wait for `keeper resume`.",
)
BREAKER_CLOSED = _kind(
    "breaker.closed", Level.INFO, "A breaker is closed; sending goes on if no other is open.", "breaker"
)
KILL_CANCELLING = _kind(
    "kill.cancelling",
    Level.WARNING,
    "The kill switch is on: what is on its way is being cancelled.",
    "remaining",
    "Nothing, when 0 remain. Else wait; `keeper kill` says what remains.",
)
OPPORTUNITIES_MISSED = _kind(
    "opportunities.missed",
    Level.CRITICAL,
    "For many blocks there was something worth sending, and nothing of ours was mined.",
    "blocks held",
    "Look at tx.stuck, tx.refused and the base fee: raise KEEPER_MAX_FEE_GWEI, fill the purse, add endpoints.",
)
PRICE_HELD = _kind(
    "price.held",
    Level.CRITICAL,
    "A price that the protocol would act on is doubtful. Its accounts are on hold, or followed, as the policy says.",
    "label feed problem price reference policy",
    "Compare both prices with other venues, then set KEEPER_DEVIATION_POLICY, or wait until they agree.",
)
PRICE_RELEASED = _kind("price.released", Level.INFO, "A price is no longer doubtful.", "label feed price")
REFERENCE_LOST = _kind(
    "reference.lost",
    Level.ERROR,
    "A reference feed gives no usable price: the price that it guards is used without a second opinion.",
    "label feed problem",
    "Check KEEPER_REFERENCE_FEEDS.",
)
SEQUENCER_DOWN = _kind(
    "sequencer.down",
    Level.CRITICAL,
    "The chain's sequencer is down, or back for less than the grace period. Nothing new is sent.",
    "problem since",
    "Check the chain's own status. The keeper goes on by itself after KEEPER_SEQUENCER_GRACE_S.",
)
SEQUENCER_UP = _kind("sequencer.up", Level.INFO, "The sequencer is back, and the grace period over.")
ASSET_QUARANTINED = _kind(
    "asset.quarantined",
    Level.ERROR,
    "Liquidations of one kind and asset fail in simulation for account after account: they are left alone for a while.",
    "subject reason until_block",
    "Look at the token: paused, a fee on transfers, a blocked address, or no liquidity.",
)
KEEPER_STUCK = _kind(
    "keeper.stuck",
    Level.ERROR,
    "The program did not react for some seconds: something blocks its event loop.",
    "seconds where",
    "If it repeats: look at the machine's load and disk, keep the log, report where it was.",
)
ALERT_TEST = _kind("alert.test", Level.INFO, "`keeper doctor --send-test-alert` asks every webhook whether it works.")
ALERT_FAILED = _kind(
    "alert.failed", Level.WARNING, "A webhook did not take an alert.", "url error dropped", "Check the webhook."
)
LOG_MESSAGE = _kind("log.message", Level.INFO, "A library's own log message, at that library's level.", "logger")
