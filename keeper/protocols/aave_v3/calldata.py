"""Calls of the executor, and what answers mean: revert reasons and the logs of a mined liquidation."""

from collections.abc import Sequence

from eth_abi.exceptions import DecodingError

from keeper.abi import load_abi
from keeper.defi.fixed_point import mul_div_ceil
from keeper.errors import InvariantBroken
from keeper.model.chain import Log
from keeper.model.health import WAD
from keeper.model.plan import Opportunity
from keeper.protocols.aave_v3.health import Market
from keeper.protocols.base import Achieved, Revert, RevertAction

OWN, FLASH = "liquidate", "liquidate_flash"  # with the executor's tokens, or borrowed for the transaction

_EXECUTOR = load_abi("KeeperExecutor")
_POOL = load_abi("IAavePool")
_LIQUIDATED = _EXECUTOR.events["Liquidated"]
_CALL = _POOL.events["LiquidationCall"]
_DEFICIT = _POOL.events["DeficitCreated"]
_PANIC, _ERROR = bytes.fromhex("4e487b71"), bytes.fromhex("08c379a0")
_RETRY, _SKIP, _HOLD, _BUG = RevertAction.RETRY, RevertAction.SKIP, RevertAction.HOLD, RevertAction.BUG

ACTIONS = {
    # The account is safe again, or someone else was first.
    "HealthFactorNotBelowThreshold": _SKIP,
    "CollateralCannotBeLiquidated": _SKIP,
    "SpecifiedCurrencyNotBorrowedByUser": _SKIP,
    # Prices, balances or the pools to sell in moved: size it again.
    "Unprofitable": _RETRY,
    "Shortfall": _RETRY,
    "MustNotLeaveDust": _RETRY,
    "InvalidBurnAmount": _RETRY,
    "InvalidAmount": _RETRY,
    "FlashloanDisabled": _RETRY,
    "SafeERC20FailedOperation": _RETRY,
    # Nothing can be liquidated now.
    "ReserveInactive": _HOLD,
    "ReservePaused": _HOLD,
    "PriceOracleSentinelCheckFailed": _HOLD,
    "LiquidationGraceSentinelCheckFailed": _HOLD,
}
# Errors.sol of 3.0.2: its reasons are numbers.
NUMBERED = {
    "27": "ReserveInactive",
    "29": "ReservePaused",
    "45": "HealthFactorNotBelowThreshold",
    "46": "CollateralCannotBeLiquidated",
    "47": "SpecifiedCurrencyNotBorrowedByUser",
    "25": "InvalidBurnAmount",
    "59": "PriceOracleSentinelCheckFailed",
    "91": "FlashloanDisabled",
}


def encode(market: Market, pool: bytes, opportunity: Opportunity, floor_wad: int) -> bytes:
    """The executor's call, which reverts when the profit would be worth less than `floor_wad` dollars (1e18)."""
    details = opportunity.details
    collateral, debt = (market.state.reserves[details[name]] for name in ("collateral", "debt"))
    price = market.readings.price(debt.asset, debt.symbol)
    unit = market.data(debt.index).configuration.unit
    least = mul_div_ceil(max(floor_wad, 0), unit * market.readings.unit, price * WAD)
    pools = [details[name].to_bytes(20, "big") for name in ("pool0", "pool1") if name in details]
    order = (
        pool,
        opportunity.account,
        collateral.asset,
        debt.asset,
        details["offer"],
        bool(details["flash"]),
        (pools, 0),  # the profit is what has to be enough
        least,
    )
    return _EXECUTOR.functions["liquidateAave"].encode(order)


def explain(data: bytes) -> Revert:
    """Decode revert data. A reason that is neither the pool's nor the executor's may pass: try again."""
    selector = data[:4]
    error = _POOL.errors.get(selector) or _EXECUTOR.errors.get(selector)
    try:
        if error is not None:
            return Revert(error.name, error.decode(data), ACTIONS.get(error.name, _BUG))
        if selector == _PANIC:
            return Revert("Panic", (int.from_bytes(data[4:36], "big"),), _BUG)
        if selector == _ERROR:
            length = int.from_bytes(data[36:68], "big")
            return _worded(data[68 : 68 + length].decode("utf-8", errors="replace"))
    except DecodingError:
        pass
    return Revert(f"0x{selector.hex()}" if selector else "no reason", (), _RETRY)


def _worded(text: str) -> Revert:
    name = NUMBERED.get(text)
    return Revert(name, (), ACTIONS[name]) if name else Revert("Error", (text,), _RETRY)


def achieved(pool: bytes, executor: bytes, account: bytes, logs: Sequence[Log]) -> Achieved | None:
    """What our transaction did to an account: the executor's profit, the pool's amounts. None when it did nothing.

    Raises InvariantBroken when a log of ours cannot be decoded.
    """
    rewards: dict[bytes, int] = {}
    size = seized = deficits = 0
    for log in logs:
        topic = log.topics[0] if log.topics else b""
        try:
            if log.address == executor and topic == _LIQUIDATED.topic and log.topics[1][12:] == account:
                (profit,) = _LIQUIDATED.decode(log)[1]
                token = log.topics[2][12:]
                rewards[token] = rewards.get(token, 0) + profit
            elif log.address == pool and topic == _CALL.topic and log.topics[3][12:] == account:
                covered, amount, liquidator, _ = _CALL.decode(log)[1]
                if bytes.fromhex(liquidator[2:]) == executor:
                    size, seized = size + covered, seized + amount
            elif log.address == pool and topic == _DEFICIT.topic and log.topics[1][12:] == account:
                deficits += 1
        except (DecodingError, ValueError, IndexError) as error:
            raise InvariantBroken(f"log {log.index} of block {log.block_number} cannot be decoded") from error
    return Achieved(rewards, size, 0, {"seized": seized, "deficits": deficits}) if rewards else None
