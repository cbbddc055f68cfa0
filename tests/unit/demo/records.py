"""Blocks, accounts and intents made up for the tests of the demo."""

from typing import Any

from keeper.model.health import WAD
from keeper.model.intent import Attempt, Intent, IntentState, Outcome
from keeper.sim.records import AccountState, BlockRecord, LiquidationRecord

ACCOUNTS = (b"\x01" * 20, b"\x02" * 20, b"\x03" * 20)


def state(equity: float, requirement: float) -> AccountState:
    return AccountState(int(equity * WAD), int(requirement * WAD))


def liquidation(
    account: bytes, *, kind: str = "liquidate", full: bool = False, reward: float = 10.0
) -> LiquidationRecord:
    return LiquidationRecord(1, account, kind, "ETH", 1_000.0, reward, 1.0, full, "0x00")


def record(
    number: int, *states: AccountState, liquidations: tuple[LiquidationRecord, ...] = (), **more: Any
) -> BlockRecord:
    given: dict[str, Any] = {"bad_debt_usd": 0.0, "gas_wei": 0, "gas_usd": 0.0, "mined": 0, "reverted": 0} | more
    return BlockRecord(
        number, number * 12, 10**9, 0, 60_000_000, "crash", {"ETH": 3_000.0}, ACCOUNTS, states, liquidations, **given
    )


def intent(id_: int, attempts: int, mined_after: int | None) -> Intent:
    tries = tuple(Attempt(id_, bytes([id_, nth]), b"", 1, 1, False, 5) for nth in range(attempts))
    outcome = None
    if mined_after is not None:
        outcome = Outcome(b"", 5 + mined_after, b"", 1, 21_000, 1, {})
    return Intent(
        id_, ACCOUNTS[0], "liquidate", "ETH", 1, IntentState.MINED, id_, b"", b"", 1, 1, 1, 5, 9, tries, outcome
    )


HEALTHY, UNSAFE, BANKRUPT = state(200, 100), state(90, 100), state(-50, 100)
CLOSED = state(0, 0)
