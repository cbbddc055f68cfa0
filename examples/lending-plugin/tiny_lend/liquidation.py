"""Liquidations: which are legal and how large, the call with its floor, and what its answers mean."""

from collections.abc import Mapping, Sequence

from eth_abi.exceptions import DecodingError

from keeper.defi.fixed_point import WAD, mul_div, mul_div_ceil
from keeper.errors import Refused
from keeper.model.chain import Call, Log, unhexed
from keeper.model.plan import Opportunity, token_key
from keeper.model.stakes import Stakes, asset_of
from keeper.protocols.base import Achieved, Revert, RevertAction, Snapshot
from tiny_lend.abi import EVENTS, LEND, VIEWS
from tiny_lend.maths import health_of, index_at, liquidate, most_of, smallest, usable_price
from tiny_lend.state import Holdings, Market, Readings, Terms, holdings_of

KIND = "liquidate"
GAS = 140_000  # measured with plain tokens: see the tests
GAS_LIMIT = 300_000  # tokens behind proxies cost more
_UNBOUNDED = 2**256 - 1
_MOST = 2**128  # units: more than any account has


def find(
    terms: Terms,
    market: Market,
    readings: Readings,
    account: bytes,
    held: Holdings,
    timestamp: int,
    target_wad: int,
    limits: Mapping[str, int],
) -> list[Opportunity]:
    """The one liquidation of an account, none when it is healthy. Raises Refused("unpriced" or "hold")."""
    if market.paused:
        raise Refused("hold", "Tiny Lend is paused")
    price, index = usable_price(terms, readings, timestamp), index_at(readings, timestamp)
    before = health_of(terms, held, index, price)
    if not before.liquidatable:
        return []

    def restores(amount: int) -> bool:
        left = liquidate(terms, held, index, price, amount).left
        after = health_of(terms, left, index, price)
        return after.equity * WAD >= after.requirement * target_wad

    balance = limits.get(token_key(terms.debt.address), _UNBOUNDED)
    amount = min(smallest(restores, most_of(terms, held, index, price)), balance)
    if amount <= 0:
        return []
    outcome = liquidate(terms, held, index, price, amount)
    repaid_wad = outcome.repaid * terms.debt.scale
    worth_wad = mul_div(outcome.seized * terms.collateral.scale, price, WAD)
    return [
        Opportunity(
            account=account,
            kind=KIND,
            subject=terms.collateral.symbol,
            size=outcome.repaid,
            notional_wad=repaid_wad,
            reward_wad=worth_wad - repaid_wad,
            rewards={terms.collateral.address: outcome.seized, terms.debt.address: -outcome.repaid},
            spends={terms.debt.address: outcome.repaid},
            uses={},
            gas=GAS,
            gas_limit=GAS_LIMIT,
            before=before,
            after=health_of(terms, outcome.left, index, price),
            partial=outcome.left.shares > 0,
            details={"price": price},
        )
    ]


def encode(terms: Terms, chosen: Opportunity, floor_wad: int) -> bytes:
    """Reverts on chain when less collateral comes than pays for the debt and the floor, at the plan's price."""
    worth_wad = chosen.notional_wad + floor_wad
    least = mul_div_ceil(worth_wad, WAD, terms.collateral.scale * chosen.details["price"])
    return VIEWS["liquidate"].encode(chosen.account, chosen.size, least)


def permits(lend: bytes, call: Call) -> str:
    """Why the key may not sign a call: it may sign liquidations, encoded as above, and nothing else."""
    if call.to != lend or call.data[:4] != VIEWS["liquidate"].selector:
        return f"a call to 0x{call.to.hex()} that is no liquidation"
    try:
        account, repay, least = VIEWS["liquidate"].arguments(call.data)  # refuses every other encoding
    except DecodingError as error:
        return f"a liquidation that is encoded otherwise: {error}"
    sane = any(unhexed(account)) and 0 < repay < _MOST and least < _MOST
    return "" if sane else f"a liquidation of {account} that repays {repay} for at least {least}"


def stakes(terms: Terms, snapshot: Snapshot, call: Call) -> Stakes:
    """What a permitted call is about: an account, both tokens, and the dollars that it repays at most."""
    who, repay, _ = VIEWS["liquidate"].arguments(call.data)
    account = unhexed(who)
    row = snapshot.columns.accounts.row(account)
    owes = row is not None and holdings_of(snapshot.columns, row).shares > 0
    tokens = frozenset({asset_of(terms.collateral.address), asset_of(terms.debt.address)})
    return Stakes((account,), tokens, repay * terms.debt.scale, "" if owes else "the account owes nothing")


def achieved(terms: Terms, lend: bytes, account: bytes, keeper: bytes, logs: Sequence[Log]) -> Achieved | None:
    """What our liquidation of an account did, from its own log."""
    for log in logs:
        if log.address != lend or log.topics[0] != EVENTS["Liquidated"].topic:
            continue
        if (log.topics[1][12:], log.topics[2][12:]) == (account, keeper):
            _, (repaid, seized, written_off) = EVENTS["Liquidated"].decode(log)
            rewards = {terms.collateral.address: seized, terms.debt.address: -repaid}
            return Achieved(rewards, repaid, written_off * terms.debt.scale)
    return None


ACTIONS = {
    "Healthy": RevertAction.SKIP,  # someone was first, or the price came back
    "TooLittle": RevertAction.RETRY,  # the price moved: size it again
    "BadPrice": RevertAction.RETRY,
    "StalePrice": RevertAction.RETRY,
    "IsPaused": RevertAction.HOLD,
    "TransferFailed": RevertAction.HOLD,
    "NothingToRepay": RevertAction.BUG,
}
_ERROR, _PANIC = bytes.fromhex("08c379a0"), bytes.fromhex("4e487b71")


def explain(data: bytes) -> Revert:
    """The contract's errors by name; any other reason may be a token's."""
    selector = data[:4]
    try:
        if (error := LEND.errors.get(selector)) is not None:
            return Revert(error.name, error.decode(data), ACTIONS.get(error.name, RevertAction.BUG))
    except DecodingError:
        pass
    names = {_ERROR: "Error", _PANIC: "Panic", b"": "no reason"}
    action = RevertAction.BUG if selector == _PANIC else RevertAction.RETRY
    return Revert(names.get(selector, f"0x{selector.hex()}"), (), action)
