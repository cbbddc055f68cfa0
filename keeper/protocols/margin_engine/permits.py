"""Which calls the key may sign: the engine's two liquidations, of known markets and collaterals."""

from eth_abi.exceptions import DecodingError

from keeper.abi import Function, load_abi
from keeper.errors import Refused
from keeper.model.chain import Call, unhexed
from keeper.model.stakes import Stakes, asset_of
from keeper.protocols.base import Snapshot
from keeper.protocols.margin_engine.health import market_price
from keeper.protocols.margin_engine.rounding import mul_up
from keeper.protocols.margin_engine.state import BALANCES, POSITIONS, SETTLEMENT, Collateral, EngineState

_MOST = 1 << 128  # of sizes and units; those in the book are smaller
_FUNCTIONS = load_abi("MarginEngine").functions
_LIQUIDATE, _SEIZE = _FUNCTIONS["liquidate"], _FUNCTIONS["seizeCollateral"]


def why_not(engine: bytes, state: EngineState, call: Call) -> str:
    """Why the key may not sign a call; empty when it may."""
    if call.to != engine:
        return f"a call to 0x{call.to.hex()}, which is not the engine"
    function = _function(call)
    if function is None:
        return f"calldata 0x{call.data[:4].hex()}..., which is no liquidation"
    try:
        account, subject, *amounts = function.arguments(call.data)
    except DecodingError as error:
        return f"calldata of {function.name} that is not as the keeper encodes it: {error}"
    if not any(unhexed(account)) or unhexed(account) == engine:
        return f"a liquidation of {account}"
    known = subject < len(state.markets) if function is _LIQUIDATE else _collateral(state, unhexed(subject))
    if not known:
        return f"{function.name} of {subject}, which is not listed"
    sane = amounts[0] > 0 and max(amounts) < _MOST
    return "" if sane else f"{function.name} with {amounts[0]}, for at least {amounts[1]}"


def stakes(snapshot: Snapshot, call: Call) -> Stakes:
    """A market by its name, valued at its price, or a collateral, valued at what is offered for it."""
    function, state = _function(call), snapshot.state
    assert function is not None
    who, subject, amount, *_ = function.arguments(call.data)
    account = unhexed(who)
    row = snapshot.columns.accounts.row(account)
    if function is _LIQUIDATE:
        market = state.markets[subject]
        size = 0 if row is None else snapshot.columns[POSITIONS].get(row, market.id)[0]
        misfit = "" if amount <= abs(size) else f"the account's position in {market.name} is {size}"
        return Stakes((account,), frozenset({market.name}), _notional(snapshot, market.id, amount), misfit)
    collateral = _collateral(state, unhexed(subject))
    assert collateral is not None
    held = row is not None and snapshot.columns[BALANCES].get(row, collateral.id)[0] > 0
    misfit = "" if held else f"the account has no {collateral.symbol}"
    worth = amount * state.collaterals[SETTLEMENT].scale
    return Stakes((account,), frozenset({asset_of(collateral.token)}), worth, misfit)


def _notional(snapshot: Snapshot, market: int, size: int) -> int | None:
    try:
        price = market_price(snapshot.state.markets[market], snapshot.readings, snapshot.block.timestamp)
    except Refused:
        return None
    return mul_up(size, price)


def _function(call: Call) -> Function | None:
    return next((function for function in (_LIQUIDATE, _SEIZE) if call.data[:4] == function.selector), None)


def _collateral(state: EngineState, token: bytes) -> Collateral | None:
    """A collateral that can be bought, which the settlement token is not."""
    return next((item for item in state.collaterals if item.token == token and item.id != SETTLEMENT), None)
