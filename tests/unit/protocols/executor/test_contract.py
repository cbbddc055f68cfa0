"""Calls of the executor contract, and what its reverts and logs mean."""

import pytest
from eth_abi.abi import decode, encode

from keeper.abi import load_abi, load_immutables, load_runtime
from keeper.model.chain import CallResult, Log
from keeper.protocols import executor
from keeper.protocols.base import NEVER, Revert, RevertAction

ABI = load_abi("KeeperExecutor")
EXECUTOR, POOL, ACCOUNT, TOKEN, DEBT, HOP = (bytes([n]) * 20 for n in range(1, 7))


def hexed(address: bytes) -> str:
    return "0x" + address.hex()


def arguments(name: str, data: bytes) -> tuple:  # type: ignore[type-arg]
    assert data[:4] == ABI.functions[name].selector
    return decode(ABI.functions[name].inputs, data[4:])


def log(name: str, topics: list[bytes], data: bytes, address: bytes = EXECUTOR) -> Log:
    return Log(address, (ABI.events[name].topic, *topics), data, 7, b"\7" * 32, 0)


def test_a_lending_liquidation_is_encoded_word_for_word() -> None:
    order = executor.AaveLiquidation(POOL, ACCOUNT, TOKEN, DEBT, 123, True, executor.Swap((HOP, POOL), 99), 5, 77)
    call = executor.call(EXECUTOR, order)
    assert call.to == EXECUTOR
    [words] = arguments("liquidateAave", call.data)
    assert words == (
        hexed(POOL), hexed(ACCOUNT), hexed(TOKEN), hexed(DEBT), 123, True, ((hexed(HOP), hexed(POOL)), 99), 5, 77
    )  # fmt: skip


def test_a_perpetual_liquidation_is_encoded_word_for_word() -> None:
    order = executor.CurieLiquidation(POOL, ACCOUNT, TOKEN, -7, 10**9, True, 2**96, 55, 12, 78)
    [words] = arguments("liquidateCurie", order.data())
    assert words == (hexed(POOL), hexed(ACCOUNT), hexed(TOKEN), -7, 10**9, True, 2**96, 55, 12, 78)


def test_a_batch_carries_each_call_with_its_gas() -> None:
    step = executor.CurieCollateral(POOL, ACCOUNT, TOKEN, 8, executor.Swap((HOP,), 3), 1, 79).data()
    batch = executor.Batch(((step, 900_000), (step, 800_000)), DEBT, 40, 80)
    steps, limits, token, least, deadline = arguments("batch", batch.data())
    assert (steps, limits, token, least, deadline) == ((step, step), (900_000, 800_000), hexed(DEBT), 40, 80)
    [words] = arguments("liquidateCurieCollateral", steps[0])
    assert words == (hexed(POOL), hexed(ACCOUNT), hexed(TOKEN), 8, ((hexed(HOP),), 3), 1, 79)


ORDERS = [
    executor.AaveLiquidation(POOL, ACCOUNT, TOKEN, DEBT, 123, True, executor.Swap((HOP, POOL), 99), -5, 81),
    executor.CurieLiquidation(POOL, ACCOUNT, TOKEN, -7, 10**9, True, 2**96, 55, -12, 82),
    executor.CurieCollateral(POOL, HOP, TOKEN, 8, executor.Swap(), 1),
]


def test_orders_are_read_back_from_their_calldata() -> None:
    batch = executor.Batch(tuple((order.data(), 100_000) for order in ORDERS), DEBT, -1)
    for order in (*ORDERS, batch):
        assert executor.order_of(order.data()) == order
        assert executor.order_of(order.data()[:-1]) is None
    assert executor.accounts_of(batch.data()) == [ACCOUNT, ACCOUNT, HOP]
    for other in (b"", b"\1\2\3\4", executor.sweep(TOKEN, 1)):
        assert executor.order_of(other) is None
        assert executor.accounts_of(other) == []


def test_an_order_without_a_deadline_has_one_that_never_comes() -> None:
    for order in (executor.CurieCollateral(POOL, HOP, TOKEN, 8, executor.Swap(), 1), executor.Batch((), DEBT, 1)):
        assert order.deadline == NEVER
        assert order.data()[4:].count(NEVER.to_bytes(32, "big")) == 1


def test_every_error_of_the_contract_has_an_action() -> None:
    assert {error.name for error in ABI.errors.values()} == set(executor.ACTIONS)


def words(*values: bytes) -> list[CallResult]:
    return [CallResult(True, value.rjust(32, b"\0")) if value else CallResult(False, b"") for value in values]


def test_an_executors_roles_and_its_version_are_known() -> None:
    now = words(b"\2", ACCOUNT, EXECUTOR, POOL, bytes(20), b"")
    assert executor.ties(now) == executor.Ties(ACCOUNT, EXECUTOR, POOL, bytes(20))
    first = words(b"", b"", b"", POOL, b"", ACCOUNT)
    assert (executor.ties(first), executor.outdated(first), executor.outdated(now)) == (None, True, False)
    for other in (words(b"", b"", b"", b"", b"", ACCOUNT), words(b"\3", *[ACCOUNT] * 4, b""), words(*[b"\2" * 32] * 6)):
        assert (executor.ties(other), executor.outdated(other)) == (None, False)


def test_code_is_ours_whatever_its_constructor_got() -> None:
    runtime = bytearray(load_runtime("KeeperExecutor"))
    assert executor.is_ours(bytes(runtime))
    for start, length in load_immutables("KeeperExecutor"):
        runtime[start : start + length] = POOL.rjust(length, b"\0")
    assert executor.is_ours(bytes(runtime))
    runtime[-1] ^= 1
    assert not executor.is_ours(bytes(runtime))
    assert not executor.is_ours(b"")


def test_an_unprofitable_liquidation_says_its_numbers() -> None:
    selector = next(key for key, error in ABI.errors.items() if error.name == "Unprofitable")
    revert = executor.explain(selector + encode(["address", "int256", "int256"], [TOKEN, -3, 10]))
    assert str(revert) == f"Unprofitable({hexed(TOKEN)}, -3, 10)"
    assert revert.action is RevertAction.RETRY


def test_the_protocols_own_texts_name_the_reason_and_others_are_errors() -> None:
    data = bytes.fromhex("08c379a0") + encode(["string"], ["CH_EAV"])
    assert executor.explain(data, {"CH_EAV": RevertAction.SKIP}) == Revert("CH_EAV", (), RevertAction.SKIP)
    assert executor.explain(data) == Revert("Error", ("CH_EAV",), RevertAction.RETRY)


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (b"", "no reason"),
        (bytes.fromhex("12345678aa"), "0x12345678"),
        (bytes.fromhex("4e487b71") + (0x11).to_bytes(32, "big"), "Panic"),
        (bytes.fromhex("08c379a0"), "Error"),
        (next(iter(ABI.errors)), None),  # one of ours, cut short
    ],
)
def test_other_reverts_are_named_by_what_is_known_of_them(data: bytes, name: str | None) -> None:
    revert = executor.explain(data)
    assert revert.name == name or revert.name in {f"0x{data[:4].hex()}", ABI.errors.get(data[:4], revert).name}


def test_logs_tell_what_was_earned_and_which_steps_failed() -> None:
    topics = [bytes(12) + ACCOUNT, bytes(12) + TOKEN]
    earned = log("Liquidated", topics, encode(["int256"], [-42]))
    foreign = log("Liquidated", topics, encode(["int256"], [9]), address=POOL)
    failed = log("StepFailed", [(3).to_bytes(32, "big")], encode(["bytes"], [b"why"]))
    logs = [foreign, earned, failed]
    assert executor.liquidated(EXECUTOR, logs) == [executor.Liquidated(ACCOUNT, TOKEN, -42)]
    assert executor.steps_failed(EXECUTOR, logs) == [executor.StepFailed(3, b"why")]


def test_a_simulated_batch_gives_its_outcomes() -> None:
    data = encode(["(bool,int256,uint256,bytes)[]"], [[(True, 5, 700, b""), (False, 0, 30, b"no")]])
    assert executor.outcomes(data) == [executor.StepResult(True, 5, 700, b""), executor.StepResult(False, 0, 30, b"no")]


NAMES = """Swap AaveLiquidation CurieLiquidation CurieCollateral Batch Single Order call order_of accounts_of Liquidated
StepFailed Outcome liquidated steps_failed outcomes explain ACTIONS Ties ties ties_calls creation sweep AAVE_GAS
AAVE_RESERVE_GAS FLASH_LOAN_GAS HOP_GAS CURIE_GAS CURIE_ORDER_GAS CURIE_COLLATERAL_GAS BATCH_GAS AAVE_BATCH_SAVES
CURIE_BATCH_SAVES"""


@pytest.mark.parametrize("name", NAMES.split())
def test_plug_ins_find_every_name_that_the_module_had(name: str) -> None:
    assert name in executor.__all__
    assert hasattr(executor, name)
