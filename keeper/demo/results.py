"""The results of the demo: counts from the chain; transactions and their delay from the journal."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from keeper.model.intent import Intent
from keeper.sim.records import BlockRecord, LiquidationRecord


@dataclass(frozen=True, slots=True)
class Inclusion:
    """Blocks from the one a plan was made on to the one that mined it; None when nothing was mined."""

    p50: float | None
    p99: float | None


@dataclass(frozen=True, slots=True)
class DemoResult:
    """The document of `keeper demo --json`.

    liquidatable: accounts that the contract ever called unsafe. missed: those of them that are liquidatable at the end;
    the others are still_open (they hold positions, health at least 1) or wiped_out (they hold none). rescued: not
    missed, and no debt of theirs was written off. partial, full: liquidations by what they left of the position.
    bad_debt_usd: laid open by liquidations, and negative equity that is left. profit_usd: at each block's prices, net
    of all gas. sent: signed transactions, replacements included. mined, reverted: the keeper's transactions on chain.
    """

    seed: int
    accounts: int
    blocks: int
    rpc_url: str
    liquidatable: int
    rescued: int
    missed: int
    still_open: int
    wiped_out: int
    partial: int
    full: int
    seized: int
    bad_debt_usd: float
    bad_debt_without_keeper_usd: float
    profit_usd: float
    gas_wei: int
    sent: int
    mined: int
    reverted: int
    replaced: int
    blocks_to_inclusion: Inclusion

    def document(self) -> dict[str, object]:
        """As JSON has it."""
        return asdict(self)


def summarise(
    seed: int, rpc_url: str, records: Sequence[BlockRecord], baseline: Sequence[BlockRecord], intents: Sequence[Intent]
) -> DemoResult:
    """Every number of the document. `records`: the run with the keeper, block by block, oldest first."""
    last = records[-1]
    ever = ever_unsafe(records)
    missed = {row for row, state in enumerate(last.states) if state.unsafe}
    safe = ever - missed
    still_open = sum(last.states[row].requirement > 0 for row in safe)
    done = all_liquidations(records)
    liquidations = [liquidation for liquidation in done if liquidation.kind == "liquidate"]
    sent = [attempt for intent in intents for attempt in intent.attempts]
    return DemoResult(
        seed=seed,
        accounts=len(last.states),
        blocks=len(baseline),
        rpc_url=rpc_url,
        liquidatable=len(ever),
        rescued=len(rescued(records)),
        missed=len(missed),
        still_open=still_open,
        wiped_out=len(safe) - still_open,
        partial=sum(not liquidation.full for liquidation in liquidations),
        full=sum(liquidation.full for liquidation in liquidations),
        seized=len(done) - len(liquidations),
        bad_debt_usd=round(bad_debt(records), 2),
        bad_debt_without_keeper_usd=round(bad_debt(baseline), 2),
        profit_usd=round(
            sum(liquidation.reward_usd for liquidation in done) - sum(record.gas_usd for record in records), 2
        ),
        gas_wei=sum(record.gas_wei for record in records),
        sent=len(sent),
        mined=sum(record.mined for record in records),
        reverted=sum(record.reverted for record in records),
        replaced=len(sent) - sum(bool(intent.attempts) for intent in intents),
        blocks_to_inclusion=inclusion(intents),
    )


def ever_unsafe(records: Sequence[BlockRecord]) -> set[int]:
    """Rows of the accounts that the contract called unsafe after some block."""
    return {row for record in records for row, state in enumerate(record.states) if state.unsafe}


def rescued(records: Sequence[BlockRecord]) -> set[int]:
    """Rows of the accounts that were unsafe, are not after the newest block, and had no debt written off."""
    last = records[-1]
    debtors = {account for record in records for account in record.debtors}
    return {row for row in ever_unsafe(records) if not last.states[row].unsafe and last.accounts[row] not in debtors}


def all_liquidations(records: Sequence[BlockRecord]) -> list[LiquidationRecord]:
    """Liquidations and seizures of all blocks, oldest first."""
    return [liquidation for record in records for liquidation in record.liquidations]


def bad_debt(records: Sequence[BlockRecord]) -> float:
    """Dollars: debts written off so far, and negative equity after the newest block."""
    return sum(record.bad_debt_usd for record in records) + records[-1].shortfall_usd


def inclusion(intents: Sequence[Intent]) -> Inclusion:
    """Nearest-rank percentiles over the intents that were mined."""
    waits = sorted(
        intent.outcome.block_number - intent.planned_block for intent in intents if intent.outcome is not None
    )
    if not waits:
        return Inclusion(None, None)
    return Inclusion(*(float(waits[max(0, math.ceil(share * len(waits)) - 1)]) for share in (0.5, 0.99)))
