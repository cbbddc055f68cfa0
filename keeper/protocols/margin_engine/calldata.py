"""Calls to the engine, and what its answers mean: revert reasons and the logs of a mined liquidation."""

from collections.abc import Sequence

from eth_abi.exceptions import DecodingError

from keeper.abi import load_abi
from keeper.errors import InvariantBroken
from keeper.model.chain import Log
from keeper.model.health import WAD
from keeper.model.plan import Opportunity
from keeper.protocols.base import Achieved, Revert, RevertAction
from keeper.protocols.margin_engine.prices import price_of
from keeper.protocols.margin_engine.reads import EngineReadings
from keeper.protocols.margin_engine.rounding import div_up
from keeper.protocols.margin_engine.state import SETTLEMENT, EngineState

LIQUIDATE = "liquidate"
SEIZE = "seize"

_ENGINE = load_abi("MarginEngine")
_PANIC = bytes.fromhex("4e487b71")
_ERROR = bytes.fromhex("08c379a0")
_RETRY, _SKIP, _HOLD, _BUG = RevertAction.RETRY, RevertAction.SKIP, RevertAction.HOLD, RevertAction.BUG

ACTIONS = {
    # The account is safe again, or someone else was first.
    "NotLiquidatable": _SKIP,
    "NotSeizable": _SKIP,
    # Prices or competitors moved between our block and the one that executed: size it again.
    "CloseFactorExceeded": _RETRY,
    "OverLiquidation": _RETRY,
    "DustLeft": _RETRY,
    "BlockCapReached": _RETRY,
    "RewardTooLow": _RETRY,
    "TooLittleOut": _RETRY,
    "BadSize": _RETRY,  # the position became smaller than what we close, or governance changed the step
    "StalePrice": _RETRY,
    "BadPrice": _RETRY,
    "Expired": _RETRY,
    # Nothing can be liquidated now.
    "EnforcedPause": _HOLD,
    "SafeERC20FailedOperation": _HOLD,
    # Not ours to cause.
    "UnknownCollateral": _BUG,
    "UnknownMarket": _BUG,
    "BadParameter": _BUG,
    "CapExceeded": _BUG,
    "ExpectedPause": _BUG,
    "GiftTooSmall": _BUG,
    "InsufficientBalance": _BUG,
    "MarginTooLow": _BUG,
    "OpenInterestTooHigh": _BUG,
    "OwnableInvalidOwner": _BUG,
    "OwnableUnauthorizedAccount": _BUG,
    "PriceLimit": _BUG,
    "ReentrancyGuardReentrantCall": _BUG,
    "SafeCastOverflowedIntDowncast": _BUG,
    "SafeCastOverflowedIntToUint": _BUG,
    "SafeCastOverflowedUintDowncast": _BUG,
    "SafeCastOverflowedUintToInt": _BUG,
}


def encode(
    state: EngineState,
    readings: EngineReadings,
    opportunity: Opportunity,
    floor_wad: int,
    timestamp: int,
    deadline: int,
) -> bytes:
    """Calldata that reverts when the reward at the readings' prices would be below `floor_wad` dollars (1e18), and in
    blocks later than `deadline` (unix seconds).
    """
    settlement = state.collaterals[SETTLEMENT]
    if opportunity.kind == LIQUIDATE:
        least = div_up(max(0, floor_wad), settlement.scale)
        market = opportunity.details["market"]
        return _ENGINE.functions["liquidate"].encode(opportunity.account, market, opportunity.size, least, deadline)
    collateral = state.collaterals[opportunity.details["collateral"]]
    price = price_of(readings, collateral.source, timestamp)
    repaid = opportunity.details["repaid"]
    worth = max(0, floor_wad + repaid * settlement.scale)
    least = div_up(worth * WAD, collateral.scale * price)
    offer = opportunity.details["offer"]
    return _ENGINE.functions["seizeCollateral"].encode(opportunity.account, collateral.token, offer, least, deadline)


def explain(data: bytes) -> Revert:
    """Decode revert data. Unknown reasons are retried."""
    selector = data[:4]
    error = _ENGINE.errors.get(selector)
    try:
        if error is not None:
            return Revert(error.name, error.decode(data), ACTIONS[error.name])
        if selector == _PANIC:
            return Revert("Panic", (int.from_bytes(data[4:36], "big"),), _BUG)
        if selector == _ERROR:
            length = int.from_bytes(data[36:68], "big")
            return Revert("Error", (data[68 : 68 + length].decode("utf-8", errors="replace"),), _RETRY)
    except DecodingError:
        pass
    return Revert(f"0x{selector.hex()}" if selector else "no reason", (), _RETRY)


def achieved(state: EngineState, account: bytes, keeper: bytes, logs: Sequence[Log]) -> Achieved | None:
    """What this keeper's calls did to an account, from the engine's own logs; None when they show neither.

    Raises InvariantBroken when the logs cannot be decoded.
    """
    rewards: dict[bytes, int] = {}
    size = bad_debt = 0
    penalty = 0
    found = False
    settlement = state.collaterals[SETTLEMENT].token
    for log in logs:
        kind = _RESULTS.get(log.topics[0]) if log.topics else None
        if kind is None or log.topics[1][12:] != account:
            continue
        if kind != "BadDebt" and log.topics[3][12:] != keeper:
            continue
        words = _words(log)
        found = found or kind != "BadDebt"
        if kind == "Liquidated":
            size += words[0]
            penalty += words[2]
            rewards[settlement] = rewards.get(settlement, 0) + words[3]
        elif kind == "CollateralSeized":
            token = state.collaterals[int.from_bytes(log.topics[2], "big")].token
            size += words[1]
            rewards[token] = rewards.get(token, 0) + words[0]
            rewards[settlement] = rewards.get(settlement, 0) - words[1]
        else:
            bad_debt += words[0]
    return Achieved(rewards, size, bad_debt, {"penalty": penalty}) if found else None


_WORDS = {"Liquidated": 4, "CollateralSeized": 2, "BadDebt": 3}
_RESULTS = {_ENGINE.events[name].topic: name for name in _WORDS}


def _words(log: Log) -> list[int]:
    words = [int.from_bytes(log.data[at : at + 32], "big") for at in range(0, len(log.data), 32)]
    if len(words) != _WORDS[_RESULTS[log.topics[0]]]:
        raise InvariantBroken(f"log {log.index} of block {log.block_number} has {len(log.data)} bytes of data")
    return words
