"""F22: the signer is down or slow: no nonce is consumed. It signs with another key or a high s: everything stops."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from keeper.errors import InvariantBroken, OperatorError
from keeper.execute.signing.kms import KmsSigner
from keeper.execute.signing.remote import RemoteSigner
from keeper.model.events import BREAKER_OPEN, TX_CANCELLED, TX_MINED
from keeper.model.intent import IntentState
from keeper.model.plan import Rejection
from keeper.sim.arena import arena_node, running
from tests.support import harsh, invariants
from tests.support.anvil import dev_key
from tests.support.kms import KmsError, KmsKey
from tests.support.proxy import FaultProxy
from tests.support.web3signer import ANSWERS, Web3Signer
from tests.support.world import GWEI, PATIENCE_S, TOKENS

BUDGET_S = 2.0  # of a signer that hangs; the others have time, as a busy machine is no fault
TOKEN = "token-of-the-signer"


@pytest.fixture
async def signer() -> AsyncIterator[Web3Signer]:
    async with Web3Signer(dev_key(1)) as running_signer:
        yield running_signer


@pytest.fixture
async def remote(sea, signer: Web3Signer, request: pytest.FixtureRequest):
    """A sea whose executor signs through the remote signer."""
    hangs = getattr(request.node, "callspec", None) is not None and request.node.callspec.params.get("mode") == "hang"
    sea.world.budget_s = BUDGET_S if hangs else PATIENCE_S
    sea.world.signer = RemoteSigner(f"{signer.url}/{TOKEN}", sea.world.keeper, sea.world.budget_s)
    await sea.restart()
    return sea


async def test_a_remote_signer_signs_what_is_mined(remote, signer: Web3Signer):
    await remote.submit(await remote.world.plan(0), await remote.world.plan(1))
    await remote.mine()
    await remote.settle()
    assert remote.states() == [(0, IntentState.MINED), (1, IntentState.MINED)]
    assert len(signer.signed) == 2


@pytest.mark.parametrize("mode", ["hang", *ANSWERS])
async def test_no_nonce_is_consumed_and_the_next_block_sends(remote, signer: Web3Signer, mode: str):
    signer.mode = mode
    await remote.submit(*[await remote.world.plan(victim) for victim in range(3)])
    assert remote.proxy.sent == []
    assert remote.states() == [(0, IntentState.DROPPED)] + [(n, IntentState.DROPPED) for n in (1, 2)]
    assert remote.executor.held == ""
    signer.mode = "right"
    await remote.mine()
    if mode == "hang":
        await asyncio.sleep(BUDGET_S)  # it is left alone for so long
    await remote.submit(await remote.world.plan(0))
    await remote.settle()
    assert remote.states()[3:] == [(0, IntentState.MINED)]
    assert TOKEN not in str([event.message for event in remote.world.events])


async def test_a_signer_that_is_down_consumes_no_nonce(remote, signer: Web3Signer):
    await signer.down()
    await remote.submit(await remote.world.plan(0))
    assert remote.proxy.sent == []
    await signer.up()
    await remote.submit(await remote.world.plan(0))
    await remote.settle()
    assert remote.states() == [(0, IntentState.DROPPED), (0, IntentState.MINED)]


async def test_a_signer_that_fails_in_between_makes_no_gap(remote, signer: Web3Signer):
    first = await remote.world.plan(0)
    rest = [await remote.world.plan(victim) for victim in (1, 2)]
    inner, asked = remote.world.signer.sign, []

    async def second_fails(tx):
        asked.append(tx.nonce)
        signer.mode = "500" if tx.nonce == 1 else "right"
        return await inner(tx)

    remote.world.signer.sign = second_fails
    await remote.submit(first, *rest)
    assert asked == [0, 1]
    assert remote.states() == [(0, IntentState.PENDING), (1, IntentState.DROPPED), (2, IntentState.DROPPED)]
    await remote.settle()


@pytest.mark.parametrize("mode", ["hang", "500"])
async def test_a_rung_that_is_not_signed_in_time_is_skipped(remote, signer: Web3Signer, mode: str):
    await remote.submit(await remote.world.plan(0, max_fee=20 * GWEI))
    signer.mode = mode
    await remote.mine(base_fee=60 * GWEI)
    assert len(remote.intent.attempts) == 1
    signer.mode = "right"
    if mode == "hang":
        await asyncio.sleep(BUDGET_S)  # it is left alone for so long
    await remote.mine(base_fee=60 * GWEI)
    assert len(remote.intent.attempts) == 2
    await remote.settle()
    assert remote.states() == [(0, IntentState.MINED)]


@pytest.mark.parametrize("mode", ["wrong_key", "high_s", "other_parity"])
async def test_a_signature_that_is_not_ours_stops_everything(remote, signer: Web3Signer, mode: str):
    signer.mode = mode
    with pytest.raises(InvariantBroken, match="the signer returned"):
        await remote.submit(await remote.world.plan(0), await remote.world.plan(1))
    assert remote.proxy.sent == []
    assert [state for _, state in remote.states()] == [IntentState.DROPPED] * 2
    assert BREAKER_OPEN.code in remote.world.codes()
    signer.mode = "right"
    [refused] = await remote.submit(await remote.world.plan(2))
    assert refused.reason is Rejection.HOLD
    await remote.settle()


async def test_a_signature_that_is_not_ours_on_a_rung_stops_everything(remote, signer: Web3Signer):
    await remote.submit(await remote.world.plan(0, max_fee=20 * GWEI))
    signer.mode = "high_s"
    await remote.mine(base_fee=60 * GWEI)
    assert "high s" in remote.world.event(BREAKER_OPEN.code).message
    assert len(set(remote.proxy.sent)) == 1
    signer.mode = "right"
    [refused] = await remote.submit(await remote.world.plan(1))
    assert refused.reason is Rejection.HOLD
    await remote.settle()
    assert remote.states() == [(0, IntentState.MINED)]


async def test_a_signer_without_the_key_or_that_is_not_there_ends_the_start(signer: Web3Signer):
    stranger = RemoteSigner(f"{signer.url}/{TOKEN}", bytes(20), BUDGET_S)
    with pytest.raises(OperatorError, match=r"KEEPER_REMOTE_SIGNER_URL.*does not hold the key") as caught:
        await stranger.open()
    await stranger.close()
    assert (caught.value.exit_code, TOKEN in str(caught.value)) == (4, False)
    await signer.down()
    gone = RemoteSigner(f"{signer.url}/{TOKEN}", signer.address, BUDGET_S)
    with pytest.raises(OperatorError, match="cannot connect"):
        await gone.open()
    await gone.close()


@pytest.mark.parametrize("high_s", [False, True])
async def test_a_key_in_kms_signs_what_is_mined(sea, high_s: bool):
    key = KmsKey(dev_key(1))
    key.high_s = high_s
    sea.world.signer = KmsSigner(key, "alias/keeper", (KmsError,))
    await sea.restart()
    await sea.submit(await sea.world.plan(0))
    await sea.settle()
    assert sea.states() == [(0, IntentState.MINED)]


async def test_kms_that_refuses_consumes_no_nonce_and_another_key_stops_everything(sea):
    key = KmsKey(dev_key(1))
    sea.world.signer = KmsSigner(key, "alias/keeper", (KmsError,))
    await sea.restart()
    for spoil in (lambda der: b"", lambda der: None, lambda der: der[:-1]):
        key.spoil = spoil
        await sea.submit(await sea.world.plan(0))
    key.spoil, key.error = lambda der: der, "ThrottlingException"
    await sea.submit(await sea.world.plan(0))
    assert {state for _, state in sea.states()} == {IntentState.DROPPED}
    assert not [event for event in sea.world.events if "secret-arn" in event.message]
    key.error, key.stranger = "", True
    with pytest.raises(InvariantBroken, match="another sender"):
        await sea.submit(await sea.world.plan(0))
    assert sea.proxy.sent == []
    await sea.settle()
    assert sea.world.tokens(sea.world.keeper) == 0 * TOKENS


async def test_the_daemon_rides_out_a_signer_that_hangs_and_the_invariants_hold(tmp_path: Path):
    with arena_node() as anvil:
        arena = harsh.arena(anvil, tmp_path, accounts=30, blocks=24, seed=3)
        key = bytes.fromhex(arena.files.key.read_text().strip().removeprefix("0x"))
        async with FaultProxy(anvil.url) as proxy, Web3Signer(key) as signer:
            settings = arena.settings(
                proxy.url,
                live=True,
                private_key=None,
                remote_signer_url=SecretStr(f"{signer.url}/{TOKEN}"),
                signer_address="0x" + signer.address.hex(),
                signer_timeout_s=0.5,
            )
            async with running(settings) as keeper:
                for number in range(20):
                    signer.mode = ("right", "hang", "500", "garbage")[number // 2 % 4]
                    record = await arena.step()
                    await keeper.handled(record.number)
                signer.mode = "right"
                for _ in range(8):
                    record = await arena.quiet()
                    await keeper.handled(record.number)
                assert keeper.of(TX_MINED)
                assert any("not signed" in event.message for event in keeper.of(TX_CANCELLED))
                await invariants.assert_invariants(arena, [proxy], [keeper])
