"""Log events: stable codes with level, meaning and what an operator does. `docs/events.md` is generated from this.

Stages do not log. They pass `Event`s to an `Emit` that `keeper/app` gives them; `keeper/observe` listens.
"""

from keeper.model.event import Emit, Event, EventKind, Level

__all__ = ["Emit", "Event", "EventKind", "Level"]  # imported from here everywhere, beside the codes below

EVENTS: dict[str, EventKind] = {}


def _kind(code: str, level: Level, meaning: str, fields: str = "", action: str = "Nothing.") -> EventKind:
    EVENTS[code] = EventKind(code, level, meaning, tuple(fields.split()), action)
    return EVENTS[code]


KEEPER_STARTED = _kind("keeper.started", Level.INFO, "The daemon started.", "version protocol chain_id live signer")
KEEPER_STOPPED = _kind(
    "keeper.stopped", Level.INFO, "The daemon ended.", "reason", "Read the reason, then start it again."
)
KEEPER_IDLE = _kind(
    "keeper.idle",
    Level.INFO,
    "Heartbeat: the keeper works, even when nothing happens.",
    "accounts nearest_health nearest_account head_age_s in_flight",
    "Alert when it is missing for several times KEEPER_IDLE_S.",
)
HEAD_NEW = _kind(
    "head.new", Level.DEBUG, "A new block was applied.", "hash timestamp base_fee_wei logs unsafe elapsed_ms"
)
HEAD_REORG = _kind(
    "head.reorg",
    Level.WARNING,
    "A reorg: the book was rolled back and the new blocks were applied.",
    "depth dropped adopted",
    "Nothing, unless reorgs are frequent or deep: then check the node and its peers.",
)
HEAD_DEEP_REORG = _kind(
    "head.deep_reorg",
    Level.ERROR,
    "A reorg was deeper than the book can roll back. All accounts were rebuilt from logs before anything was planned.",
    "depth dropped adopted",
    "Check the chain's status page and the node: such a reorg is rare. Check profit and loss with `keeper pnl`.",
)
HEAD_STALLED = _kind(
    "head.stalled",
    Level.ERROR,
    "No new block for five block times, at least 30 seconds.",
    "age_s endpoint",
    "Check the node and the chain's status page.",
)
NODE_DOWN = _kind(
    "node.down",
    Level.ERROR,
    "An endpoint gave no usable answer, or its newHeads subscription ended.",
    "endpoint error",
    "Check the node, or add another endpoint to KEEPER_RPC_URLS.",
)
NODE_LIMITED = _kind(
    "node.limited",
    Level.WARNING,
    "An endpoint does not simulate as in the next block: a contract can tell its simulations from transactions.",
    "endpoint missing",
    "Use a node that supports block overrides and fees in `eth_call`.",
)
NODE_LAGGING = _kind(
    "node.lagging",
    Level.WARNING,
    "An endpoint is more than KEEPER_MAX_LAG_BLOCKS behind the newest head. Others are asked first.",
    "endpoint behind",
    "Check the node's sync.",
)
NODE_DISAGREES = _kind(
    "node.disagrees",
    Level.CRITICAL,
    "Two nodes have different blocks at a height that no reorg reaches. Nothing new is planned.",
    "endpoint height hash other_hash",
    "Find out which node is right (compare with an explorer) and remove the other from KEEPER_RPC_URLS.",
)
CHAIN_UNREADY = _kind(
    "chain.unready",
    Level.ERROR,
    "No node is reliable: all are down or behind, no block arrives, or nodes disagree. Nothing new is planned.",
    "reason",
    "Read the reason. The keeper continues by itself once a node is reliable again. Add another endpoint.",
)
CHAIN_READY = _kind("chain.ready", Level.INFO, "A node is reliable again; planning continues.")
BLOCK_SKIPPED = _kind(
    "block.skipped",
    Level.ERROR,
    "A block could not be handled: no node gave a usable answer. It is retried, unless a newer block arrives first.",
    "error",
    "Read the error. If it repeats, check the nodes or add another endpoint.",
)
BOOK_SYNCED = _kind("book.synced", Level.INFO, "All accounts built from logs.", "accounts logs from_block elapsed_s")
BOOK_PARITY_FAILED = _kind(
    "book.parity_failed",
    Level.CRITICAL,
    "Local health differs from the contract's. The `parity` breaker opens: nothing new is sent.",
    "account difference",
    "Keep the log, compare the account with the contract, and report it, before you run `keeper resume`.",
)
PRICE_STALE = _kind(
    "price.stale",
    Level.WARNING,
    "A price cannot be used: too old, zero, negative or unreadable. Accounts that depend on it are skipped.",
    "label feed problem price updated_at",
    "Check the feed. The protocol itself cannot liquidate these accounts meanwhile.",
)
PRICE_DEVIATES = _kind(
    "price.deviates",
    Level.WARNING,
    "A price moved by more than KEEPER_MAX_PRICE_MOVE within one block.",
    "label feed price previous change_bps",
    "Compare it with other markets. If the feed is wrong, stop sending with `keeper kill`.",
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
    "An account that is unsafe, or that cannot be judged, is skipped, with an enumerated reason.",
    "account reason health_wad",
    "Look at repeated ones: `insufficient_funds` and `fee_cap` cost profit. `unsupported` is a case that the adapter "
    "does not compute exactly; the message names it (`docs/protocols.md`).",
)
TX_SENT = _kind(
    "tx.sent", Level.INFO, "A transaction was sent.", "intent account nonce hash max_fee_wei priority_fee_wei"
)
TX_REPLACED = _kind(
    "tx.replaced",
    Level.INFO,
    "A transaction was replaced by one with a higher fee at the same nonce.",
    "intent account nonce hash max_fee_wei priority_fee_wei",
)
TX_PUBLISHED = _kind(
    "tx.published",
    Level.WARNING,
    "Relays refused a transaction or did not get it mined in time: it is sent to public nodes, at the same nonce.",
    "intent account nonce hash",
    "If it is frequent, check the relays: liquidations are late, and public.",
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
    "A liquidation was mined and reverted; its gas is lost.",
    "intent account nonce hash reason gas_used",
    "A single one is competition. Several in a row open the `reverts` breaker: read the reasons.",
)
TX_CANCELLED = _kind(
    "tx.cancelled",
    Level.INFO,
    "An intent ended without a liquidation; its nonce is free, or used by a self-transfer.",
    "intent account nonce reason",
)
TX_UNKNOWN = _kind(
    "tx.unknown",
    Level.WARNING,
    "No node confirmed or refused a transaction. It keeps its nonce and is sent again.",
    "intent account nonce hash error",
    "If it repeats, check the endpoints.",
)
TX_REFUSED = _kind(
    "tx.refused",
    Level.WARNING,
    "Every node that got a transaction refused it.",
    "intent account nonce hash reason error",
    "Read the reason.",
)
TX_STUCK = _kind(
    "tx.stuck",
    Level.ERROR,
    "A transaction is at its fee cap and not mined. It is cancelled at its deadline.",
    "intent account nonce max_fee_wei base_fee_wei",
    "Raise KEEPER_MAX_FEE_GWEI if liquidations still pay at this base fee.",
)
TX_SUPERSEDED = _kind(
    "tx.superseded",
    Level.CRITICAL,
    "A nonce was used by a transaction that this keeper did not send. The `nonce` breaker opens: nothing new is sent.",
    "intent account nonce",
    "Find out who else has the key. If it was you, run `keeper resume`; if not, move the funds.",
)
TX_REORGED = _kind(
    "tx.reorged",
    Level.WARNING,
    "A reorg dropped the block of a mined transaction. The transaction is in flight again.",
    "intent account nonce hash",
)
LEASE_ACQUIRED = _kind(
    "lease.acquired", Level.INFO, "This keeper became leader: it writes the journal and sends.", "lease"
)
LEASE_LOST = _kind(
    "lease.lost",
    Level.ERROR,
    "This keeper stopped sending: another took over, or its journal failed. It waits for the lease.",
    "reason",
    "Read the reason. If another keeper took over: find out why this one did not renew its lease. "
    "If the journal failed: free the disk, or repair the database.",
)
LEASE_WAITING = _kind(
    "lease.waiting", Level.INFO, "This keeper follows the chain and waits until it can become leader.", "reason"
)
JOURNAL_UNAVAILABLE = _kind(
    "journal.unavailable",
    Level.ERROR,
    "The journal takes no write, so a block or its plans were not handled. Nothing is signed or sent until it does.",
    "error",
    "Free the disk, end the program that locks the file, or repair the database. The keeper continues by itself.",
)
CAPITAL_MISSING = _kind(
    "capital.missing",
    Level.CRITICAL,
    "Signer or executor holds less than the books explain: capital left without a booked reason. Nothing new is sent.",
    "holder token expected found missing",
    "Find the transaction that took it (an explorer, the holder's transfers). If nobody of you did it, the key is "
    "stolen: move the capital with the treasury, and replace the key. Then run `keeper resume`.",
)
CAPITAL_UNTRACED = _kind(
    "capital.untraced",
    Level.WARNING,
    "Transactions of the signer that the journal does not have were taken to have cost the most: no node knows better.",
    "transactions",
    "Look them up in an explorer. An archive node finds them; send none with the keeper's key by other means.",
)
JOURNAL_ALTERED = _kind(
    "journal.altered",
    Level.CRITICAL,
    "A row of the journal is not what this keeper wrote or signed. Nothing is sent from it, and nothing new at all.",
    "intent error",
    "Stop the keeper, remove the access to the database, restore it (docs/operations.md), then run `keeper resume`.",
)
JOURNAL_REBUILT = _kind(
    "journal.rebuilt",
    Level.CRITICAL,
    "The journal's file was damaged. It was renamed and a new journal was created, with nonces from the chain. "
    "Nothing new is sent for KEEPER_BREAKER_RESET_BLOCKS blocks, so that older transactions are mined or dropped.",
    "moved_to",
    "Check the disk. Keep the damaged file: it has the history. If the kill switch was on, run `keeper kill` again.",
)
FUNDS_LOW = _kind(
    "funds.low",
    Level.ERROR,
    "A liquidation needs more of a token than is left. `balance`: what `holder` has beside transactions in flight and "
    "better plans of the block; `needed`: what the liquidation spends. Both in the token's smallest unit.",
    "holder token balance needed",
    "Send `token` to `holder`: the executor where there is one, else the signer. The native coin, which pays for gas, "
    "always goes to the signer. The keeper continues by itself once funded.",
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
    "The breaker named is open: nothing new is sent. Transactions in flight are still handled.",
    "breaker reason",
    "Read the reason; docs/operations.md says which breakers close by themselves and which wait for `keeper resume`.",
)
BREAKER_CLOSED = _kind(
    "breaker.closed", Level.INFO, "A breaker is closed. Sending continues if no other is open.", "breaker"
)
KILL_CANCELLING = _kind(
    "kill.cancelling",
    Level.WARNING,
    "The kill switch is on: transactions in flight are being cancelled.",
    "remaining",
    "Nothing, when 0 remain. Else wait; `keeper kill` lists what remains.",
)
OPPORTUNITIES_MISSED = _kind(
    "opportunities.missed",
    Level.CRITICAL,
    "For KEEPER_MISSED_BLOCKS blocks there were liquidations worth sending, and none of this keeper's transactions was "
    "mined.",
    "blocks held",
    "Look at tx.stuck, tx.refused, funds.low and the base fee: raise KEEPER_MAX_FEE_GWEI, add funds, add endpoints.",
)
PRICE_HELD = _kind(
    "price.held",
    Level.CRITICAL,
    "A price is old, at its feed's bounds, or differs from its reference. `policy` says what happens to its accounts.",
    "label feed problem price reference policy",
    "Compare both prices with other markets, then set KEEPER_DEVIATION_POLICY, or wait until they agree.",
)
PRICE_RELEASED = _kind("price.released", Level.INFO, "A price is no longer doubtful.", "label feed price")
REFERENCE_LOST = _kind(
    "reference.lost",
    Level.ERROR,
    "A reference feed gives no usable price: the protocol's price is used without a comparison.",
    "label feed problem",
    "Check KEEPER_REFERENCE_FEEDS.",
)
SEQUENCER_DOWN = _kind(
    "sequencer.down",
    Level.CRITICAL,
    "The chain's sequencer is down, or up for less than KEEPER_SEQUENCER_GRACE_S. Nothing new is sent.",
    "problem since",
    "Check the chain's status page. The keeper continues by itself KEEPER_SEQUENCER_GRACE_S after the sequencer is up.",
)
SEQUENCER_UP = _kind("sequencer.up", Level.INFO, "The sequencer is up, and the grace period is over.")
ASSET_QUARANTINED = _kind(
    "asset.quarantined",
    Level.ERROR,
    "Liquidations of one kind and asset failed for two accounts or moved other amounts. They are skipped until "
    "`until_block`.",
    "subject reason until_block",
    "Check the token: it may be paused, charge a fee on transfers, block an address, or have no liquidity.",
)
KEEPER_STUCK = _kind(
    "keeper.stuck",
    Level.ERROR,
    "The event loop was blocked for more than KEEPER_STUCK_S.",
    "seconds where",
    "If it repeats: check the machine's load and disk, keep the log, report the function in `where`.",
)
ALERT_TEST = _kind("alert.test", Level.INFO, "`keeper doctor --send-test-alert` sends this to every webhook.")
ALERT_FAILED = _kind(
    "alert.failed", Level.WARNING, "An alert was not delivered to a webhook.", "url error dropped", "Check the webhook."
)
LOG_MESSAGE = _kind("log.message", Level.INFO, "A library's own log message, at that library's level.", "logger")
