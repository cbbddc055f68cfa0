"""F50: somebody who can write to the database alters the journal: trigger, UPDATE, INSERT and DELETE.

The keeper holds tokens, and its policy allows calls to the token: `transfer` to somebody else would empty it.
"""

from collections.abc import AsyncIterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import pytest
from eth_abi.abi import encode
from eth_account import Account

from keeper.execute.executor import LiveExecution
from keeper.execute.journal.journal import open_journal
from keeper.execute.journal.schema import attempt_row, packed
from keeper.execute.signing.encoding import sender_of, transaction_in
from keeper.execute.signing.local import from_private_key
from keeper.execute.signing.signer import UnsignedTx
from keeper.model.breaker import BreakerName
from keeper.model.events import BREAKER_OPEN, JOURNAL_ALTERED
from keeper.model.fees import Fees
from keeper.model.intent import Attempt, Intent
from keeper.model.plan import Plan, Rejected, Rejection
from keeper.sim.arena import arena_node, running
from tests.support import harsh
from tests.support.altering import Intruder, Value
from tests.support.anvil import Anvil, dev_key
from tests.support.invariants import balances
from tests.support.proxy import FaultProxy
from tests.support.succession import WORST_BLOCK
from tests.support.world import CHAIN_ID, GWEI, TOKENS, World

CAPITAL = 1000 * TOKENS
THIEF = bytes.fromhex(Account.from_key(dev_key(7)).address[2:])
EMPTIED = bytes.fromhex("a9059cbb") + encode(["address", "uint256"], ["0x" + THIEF.hex(), CAPITAL])
FOREIGN = UnsignedTx(CHAIN_ID, 0, THIEF, EMPTIED, 100_000, 50 * GWEI, GWEI)
ALTERED: list[tuple[str, str, Value]] = [
    ("intents", "to", THIEF),
    ("intents", "data", EMPTIED),
    ("intents", "nonce", 7),
    ("intents", "state", "dropped"),
    ("attempts", "raw", b"\x02garbage"),
]
NAMES = [column for _, column, _ in ALTERED]


@dataclass
class Vault:
    """A keeper with capital, on a journal that an intruder writes to."""

    world: World
    proxy: FaultProxy
    intruder: Intruder
    plans: list[Plan]

    async def submit(self, executor: LiveExecution) -> list[Rejected]:
        self.plans.append(await self.world.plan(len(self.plans)))
        refused: list[Rejected] = await self.world.submit(executor, self.plans[-1])
        return refused

    async def mine(self, executor: LiveExecution, blocks: int = 4) -> None:
        """Blocks at a base fee under which what was sent is replaced."""
        await self.world.mine(executor, blocks, base_fee=60 * GWEI)

    async def dropped_by_the_pool(self, executor: LiveExecution) -> Intent:
        """The end of a keeper with one transaction that the next has to send again."""
        await self.submit(executor)
        await self.world.stop(executor)
        [intent] = self.world.intents()
        for attempt in intent.attempts:
            self.world.anvil.rpc("anvil_dropTransaction", "0x" + attempt.tx_hash.hex())
        self.proxy.seen.clear()
        return intent

    def assert_nothing_is_lost(self) -> None:
        """On the wire was only what was planned, or a self-transfer; the capital is there."""
        world = self.world
        planned = {(plan.call.to, plan.call.data) for plan in self.plans}
        for raw in self.proxy.sent:
            tx, signature = transaction_in(raw)
            assert sender_of(tx, signature) == world.keeper
            assert (tx.to, tx.data) in planned | {(world.keeper, b"")}
            assert tx.nonce < len(self.plans)
        assert world.tokens(THIEF) == 0
        assert world.tokens(world.keeper) >= CAPITAL

    async def assert_held(self, executor: LiveExecution) -> None:
        """The keeper says what was altered, and sends nothing new."""
        assert [event for event in self.world.events if event.kind is JOURNAL_ALTERED]
        opened = [event.fields for event in self.world.events if event.kind is BREAKER_OPEN]
        assert BreakerName.INVARIANT in [fields["breaker"] for fields in opened]
        assert "the journal was altered" in executor.held
        assert executor.broken
        sent = len(self.proxy.sent)
        [refused] = await self.world.submit(executor, await self.world.plan(2))
        assert refused.reason is Rejection.HOLD
        assert len(self.proxy.sent) == sent
        self.assert_nothing_is_lost()


@pytest.fixture(params=["sqlite", "postgresql"])
async def vault(anvil: Anvil, tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Vault]:
    async with FaultProxy(anvil.url) as proxy:
        world = await World(anvil, tmp_path).connect(proxy.url)
        if request.param == "postgresql":
            world.url = request.getfixturevalue("database")
        anvil.set_automine(True)
        world.transact(world.victims[0], "mint", world.keeper, CAPITAL)
        anvil.set_automine(False)
        world.journal().close()  # the tables are there before the first start
        yield Vault(world, proxy, Intruder(world.url, tmp_path), [])
        await world.close()


def planted(vault: Vault, state: str, nonce: int, raw: bytes = b"", **changes: Value) -> None:
    """Insert an intent that takes the capital, with one attempt where there are bytes."""
    signer = from_private_key(dev_key(1).hex()).address
    row: dict[str, Value] = {
        "id": 90, "signer": signer, "chain_id": CHAIN_ID, "state": state, "nonce": nonce, "account": THIEF,
        "kind": "take", "subject": "TKN", "size": "1", "to": vault.world.token, "data": EMPTIED, "gas_limit": 100_000,
        "bid": str(400 * GWEI), "value_wad": "1", "planned_block": 1, "deadline_block": 10**6, "uses": "{}",
        "spends": "{}",
    }  # fmt: skip
    vault.intruder.insert("intents", row | changes)
    if raw:
        attempt = attempt_row(Attempt(90, b"\1" * 32, raw, 50 * GWEI, GWEI, cancels=False, signed_block=1))
        attempt |= {"max_fee": str(50 * GWEI), "priority_fee": str(GWEI), "reply": "", "reply_reason": ""}
        vault.intruder.insert("attempts", {"id": 90, **attempt})


def planted_outcome(vault: Vault, block: int) -> None:
    row: dict[str, Value] = {
        "intent_id": 90, "tx_hash": b"\1" * 32, "block_number": block, "block_hash": b"\2" * 32, "status": 1,
        "gas_used": 1, "effective_gas_price": "1", "profit": "{}", "reason": "", "value_wad": "0", "bad_debt_wad": "0",
    }  # fmt: skip
    vault.intruder.insert("outcomes", row)


async def foreign_bytes() -> bytes:
    return (await from_private_key(dev_key(7).hex()).sign(FOREIGN)).raw


@pytest.mark.parametrize("event", ["INSERT", "UPDATE"])
@pytest.mark.parametrize(("table", "column", "value"), ALTERED, ids=NAMES)
async def test_a_trigger_chooses_nothing_that_is_signed_or_sent(
    vault: Vault, event: str, table: str, column: str, value: Value
) -> None:
    vault.intruder.trigger(event, table, column, value)
    executor = await vault.world.executor()
    [refused] = await vault.submit(executor)
    assert refused.reason is Rejection.HOLD
    assert f"intent 1: column {column}" in refused.message
    assert len(vault.proxy.sent) == (event == "UPDATE" and table == "attempts")  # the reply came after the send
    await vault.mine(executor)
    await vault.assert_held(executor)


@pytest.mark.parametrize(("table", "column", "value"), ALTERED, ids=NAMES)
async def test_an_update_under_a_pending_transaction_changes_nothing_on_the_wire(
    vault: Vault, table: str, column: str, value: Value
) -> None:
    executor = await vault.world.executor()
    await vault.submit(executor)
    vault.intruder.update(table, column, value)
    await vault.mine(executor)
    await vault.assert_held(executor)


@pytest.mark.parametrize("statement", ["DELETE FROM attempts", "DELETE FROM attempts; DELETE FROM intents"])
async def test_deleted_rows_are_noticed_while_running(vault: Vault, statement: str) -> None:
    executor = await vault.world.executor()
    await vault.submit(executor)
    vault.intruder.run(*statement.split("; "))
    await vault.mine(executor)
    await vault.assert_held(executor)


async def test_an_attempt_that_is_planted_under_a_pending_intent_is_never_sent(vault: Vault) -> None:
    executor = await vault.world.executor()
    await vault.submit(executor)
    [intent] = vault.world.intents()
    row = attempt_row(replace(intent.attempts[0], raw=await foreign_bytes(), tx_hash=b"\1" * 32))
    row |= {"max_fee": str(400 * GWEI), "priority_fee": str(GWEI), "reply": "", "reply_reason": ""}
    vault.intruder.insert("attempts", {"id": 90, **row})
    await vault.mine(executor)
    await vault.assert_held(executor)


async def test_a_planted_end_makes_no_nonce_look_used_while_running(vault: Vault) -> None:
    executor = await vault.world.executor()
    planted(vault, "mined", 50)
    planted_outcome(vault, vault.world.anvil.block_number())
    await vault.submit(executor)
    assert [transaction_in(raw)[0].nonce for raw in vault.proxy.sent] == [0]
    await vault.world.mine(executor)
    assert executor.held == ""
    vault.assert_nothing_is_lost()


async def test_a_replacement_is_of_the_bytes_that_were_signed_first(vault: Vault) -> None:
    executor = await vault.world.executor()
    await vault.submit(executor)
    [intent] = vault.world.intents()
    [attempt] = intent.attempts
    altered = replace(intent, data=EMPTIED, nonce=3)
    fees = Fees(attempt.max_fee * 2, attempt.priority_fee * 2)
    await executor._broadcaster.replace(altered, fees, attempt.signed_block, cancels=False)
    assert len(vault.proxy.sent) == 2
    vault.assert_nothing_is_lost()


BETWEEN: list[tuple[str, str, Value]] = [
    *ALTERED,
    ("intents", "state", "reserved"),
    ("intents", "state", "cancelling"),
    ("intents", "state", "mined"),
    ("intents", "state", "nonsense"),
    ("intents", "gas_limit", 5_000_000),
    ("intents", "kind", "fill"),
    ("intents", "bid", "lots"),
    ("attempts", "tx_hash", b"\1" * 32),
    ("attempts", "max_fee", str(400 * GWEI)),
]


@pytest.mark.parametrize(("table", "column", "value"), BETWEEN, ids=[f"{c}-{str(v)[:9]}" for _, c, v in BETWEEN])
async def test_what_was_altered_between_two_starts_is_not_taken_up(
    vault: Vault, table: str, column: str, value: Value
) -> None:
    await vault.dropped_by_the_pool(await vault.world.executor())
    vault.intruder.update(table, column, value)
    executor = await vault.world.executor()
    assert vault.proxy.sent == []
    await vault.mine(executor)
    assert vault.proxy.sent == []
    await vault.assert_held(executor)


async def test_a_deleted_attempt_of_an_open_intent_is_noticed_at_the_start(vault: Vault) -> None:
    await vault.dropped_by_the_pool(await vault.world.executor())
    vault.intruder.run("DELETE FROM attempts")
    executor = await vault.world.executor()
    await vault.mine(executor)
    assert vault.proxy.sent == []
    await vault.assert_held(executor)


async def test_bytes_of_another_key_are_not_sent_again(vault: Vault) -> None:
    await vault.dropped_by_the_pool(await vault.world.executor())
    vault.intruder.update("attempts", "raw", await foreign_bytes())
    executor = await vault.world.executor()
    await vault.mine(executor)
    assert vault.proxy.sent == []
    await vault.assert_held(executor)


async def test_a_copy_of_what_was_mined_is_not_booked_twice(vault: Vault) -> None:
    executor = await vault.world.executor()
    await vault.submit(executor)
    await vault.world.mine(executor)
    await vault.world.stop(executor)
    [intent] = vault.world.intents()
    values = {name: value for name, value in asdict(intent).items() if name not in ("id", "attempts", "outcome")}
    values |= {"uses": packed(intent.uses), "spends": packed(intent.spends), "state": "pending"}
    planted(vault, **{**values, **{name: str(values[name]) for name in ("size", "bid", "value_wad")}})
    row = attempt_row(replace(intent.attempts[0], intent_id=90))
    row |= {"max_fee": str(row["max_fee"]), "priority_fee": str(row["priority_fee"]), "reply": "", "reply_reason": ""}
    vault.intruder.insert("attempts", {"id": 90, **row})
    executor = await vault.world.executor()
    await vault.world.mine(executor)
    assert sum(intent.outcome is not None for intent in vault.world.intents()) == 1
    await vault.assert_held(executor)


@pytest.mark.parametrize("state", ["signed", "pending", "cancelling"])
async def test_an_intent_planted_before_the_first_start_is_not_taken_up(vault: Vault, state: str) -> None:
    planted(vault, state, 0, await foreign_bytes())
    executor = await vault.world.executor()
    await vault.mine(executor)
    assert vault.proxy.sent == []
    await vault.assert_held(executor)


async def test_a_planted_reservation_is_dropped_and_never_signed(vault: Vault) -> None:
    planted(vault, "reserved", 5)
    executor = await vault.world.executor()
    await vault.submit(executor)
    await vault.world.mine(executor)
    assert [transaction_in(raw)[0].nonce for raw in vault.proxy.sent] == [0]
    assert executor.held == ""
    vault.assert_nothing_is_lost()


@pytest.mark.parametrize("age", [0, 500], ids=["recent", "old"])
async def test_a_planted_end_makes_no_nonce_look_used_after_a_start(vault: Vault, age: int) -> None:
    planted(vault, "mined", 50, await foreign_bytes())
    planted_outcome(vault, vault.world.anvil.block_number() - age)
    executor = await vault.world.executor()
    await vault.mine(executor)
    assert vault.proxy.sent == []
    await vault.assert_held(executor)


async def test_the_daemon_sends_nothing_and_ends_with_exit_code_5(tmp_path: Path) -> None:
    with arena_node() as anvil:
        arena = harsh.arena(anvil, tmp_path, accounts=120)
        for _ in range(WORST_BLOCK):
            await arena.step()
        async with FaultProxy(anvil.url) as proxy:
            settings = arena.settings(proxy.url, live=True, min_profit_usd=-1_000_000)
            url = settings.database_url.get_secret_value()
            open_journal(url, tmp_path, arena.keeper, CHAIN_ID).close()
            Intruder(url, tmp_path).trigger("INSERT", "intents", "data", EMPTIED)
            before = balances(arena, anvil.block_number())
            async with running(settings, code=5) as keeper:
                await keeper.until(lambda: keeper.of(JOURNAL_ALTERED))
                for _ in range(3):
                    await arena.quiet()
                    await keeper.handled(anvil.block_number())
                assert [event.fields["breaker"] for event in keeper.of(BREAKER_OPEN)] == [BreakerName.INVARIANT]
            assert proxy.sent == []
            assert balances(arena, anvil.block_number()) == before
