"""Calls of the executor, and what answers mean: revert reasons and the logs of a mined liquidation."""

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction

from eth_abi.exceptions import DecodingError

from keeper.abi import load_abi
from keeper.defi.fixed_point import mul_div_ceil
from keeper.errors import InvariantBroken, Refused
from keeper.model.chain import Log
from keeper.model.health import WAD
from keeper.model.plan import Opportunity
from keeper.model.refusal import RefusalCode
from keeper.protocols import executor
from keeper.protocols.aave_v3.health import AaveMarket
from keeper.protocols.base import Achieved, Revert, RevertAction

OWN, FLASH = "liquidate", "liquidate_flash"  # with the executor's tokens, or borrowed for the transaction

_POOL = load_abi("IAavePool")
_CALL = _POOL.events["LiquidationCall"]
_DEFICIT = _POOL.events["DeficitCreated"]
_RETRY, _SKIP, _HOLD, _BUG = RevertAction.RETRY, RevertAction.SKIP, RevertAction.HOLD, RevertAction.BUG

ACTIONS = {
    # The account is safe again, or someone else was first.
    "HealthFactorNotBelowThreshold": _SKIP,
    "CollateralCannotBeLiquidated": _SKIP,
    "SpecifiedCurrencyNotBorrowedByUser": _SKIP,
    # Prices or balances moved: size it again.
    "MustNotLeaveDust": _RETRY,
    "InvalidBurnAmount": _RETRY,
    "InvalidAmount": _RETRY,
    "FlashloanDisabled": _RETRY,
    "SelfLiquidation": _BUG,
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
NUMBERED_ACTIONS = {number: ACTIONS[name] for number, name in NUMBERED.items()}


def encode(
    market: AaveMarket, pool: bytes, opportunity: Opportunity, floor_wad: int, max_slip: Fraction, deadline: int
) -> executor.AaveLiquidation:
    """The executor's order, which reverts when the profit is worth less than `floor_wad` dollars (1e18), and when the
    sale brings less than its quote less `max_slip`."""
    details = opportunity.details
    collateral, debt = (market.state.reserves[details[name]] for name in ("collateral", "debt"))
    price = market.readings.price(debt.asset, debt.symbol)
    if not price:
        raise Refused(RefusalCode.UNPRICED, f"the oracle's price of {debt.symbol} is zero")
    unit = market.data(debt.index).configuration.unit
    least = mul_div_ceil(max(floor_wad, 0), unit * market.readings.unit, price * WAD)
    route = tuple(details[name].to_bytes(20, "big") for name in ("pool0", "pool1") if name in details)
    return executor.AaveLiquidation(
        pool=pool,
        account=opportunity.account,
        collateral=collateral.asset,
        debt=debt.asset,
        repay=details["offer"],
        flash_loan=bool(details["flash"]),
        swap=executor.Swap(route, executor.least_out(details["out"], max_slip)),
        min_profit=least,
        deadline=deadline,
    )


def explain(data: bytes) -> Revert:
    """Decode revert data: the pool's reasons, then the executor's."""
    error = _POOL.errors.get(data[:4])
    if error is not None:
        return Revert(error.name, (), ACTIONS[error.name])
    found = executor.explain(data, NUMBERED_ACTIONS)
    return replace(found, name=NUMBERED[found.name]) if found.name in NUMBERED else found


def achieved(pool: bytes, holder: bytes, account: bytes, logs: Sequence[Log]) -> Achieved | None:
    """What the keeper's transaction did to an account: the executor's profit, the pool's amounts. None when nothing.

    holder: the executor. Raises InvariantBroken when the logs cannot be decoded.
    """
    try:
        earned = [item for item in executor.liquidated(holder, logs) if item.account == account]
        if not earned:
            return None
        mine = [log for log in logs if log.address == pool and log.topics]
        calls = [
            words
            for log in mine
            if log.topics[0] == _CALL.topic and log.topics[3][12:] == account
            for words in [_CALL.decode(log)[1]]
            if bytes.fromhex(words[2][2:]) == holder
        ]
    except (DecodingError, ValueError, IndexError) as error:
        raise InvariantBroken("the logs of the keeper's liquidation cannot be decoded") from error
    rewards: dict[bytes, int] = {}
    for item in earned:
        rewards[item.token] = rewards.get(item.token, 0) + item.profit
    deficits = sum(1 for log in mine if log.topics[0] == _DEFICIT.topic and log.topics[1][12:] == account)
    details = {"seized": sum(words[1] for words in calls), "deficits": deficits}
    return Achieved(rewards, sum(words[0] for words in calls), 0, details)
