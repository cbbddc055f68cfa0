"""What the key may sign: every valid call, and nothing that was altered or invented."""

import os
from collections.abc import Sequence
from dataclasses import fields, replace
from random import Random
from types import SimpleNamespace
from typing import Any

import pytest
from eth_abi.abi import decode, encode
from eth_abi.exceptions import DecodingError
from eth_abi.grammar import parse
from hypothesis import given, settings, strategies as st

from keeper.abi import Function
from keeper.defi.tick_math import sqrt_price_at_tick
from keeper.errors import InvariantBroken
from keeper.execute.signing.calls import AdapterCalls, LimitReached
from keeper.model.chain import Call
from keeper.model.health import WAD
from keeper.protocols import executor
from keeper.protocols.columns import Columns, Writer
from keeper.protocols.curie.state import ORDERS, TABLES as CURIE_TABLES, Range, halves
from tests.support.forging import FUNCTIONS, WAYS, altered, invented, leaves
from tests.support.permit_cases import (
    ANN,
    CASES,
    COIN,
    FUND,
    GOLD,
    GOLD_COIN,
    OWN,
    SALT,
    STRANGER,
    Case,
)

FORGERIES = int(os.environ.get("FORGERIES", "10000"))  # of each kind, for each adapter


def rules_of(case: Case) -> AdapterCalls:
    rules = AdapterCalls(case.protocol)
    rules.see(case.snapshot)
    return rules


def permitted(rules: AdapterCalls, call: Call) -> bool:
    try:
        rules.check(call, replaces=False)
    except InvariantBroken:
        return False
    return True


each = pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])


@each
def test_every_valid_call_may_be_signed(case: Case) -> None:
    rules = rules_of(case)
    for call in case.calls:
        stakes = rules.check(call, replaces=False)
        assert stakes is not None
        assert stakes.notional_wad
        assert stakes.accounts
        assert stakes.assets


@each
@pytest.mark.parametrize("way", WAYS)
def test_no_call_with_one_thing_altered_may_be_signed(case: Case, way: str) -> None:
    rules, rng = rules_of(case), Random(f"{case.name} {way}")
    for count in range(FORGERIES // len(WAYS)):
        call = case.calls[count % len(case.calls)]
        forged = replace(call, data=altered(call.data, way, rng))
        assert forged != call
        assert not permitted(rules, forged), f"{way}: 0x{forged.data.hex()} from 0x{call.data.hex()}"


@each
def test_no_invented_call_may_be_signed(case: Case) -> None:
    rules, rng = rules_of(case), Random(case.name)
    for count in range(FORGERIES):
        model = case.calls[count % len(case.calls)]
        forged = replace(model, data=invented(model, rng))
        assert not permitted(rules, forged), f"0x{forged.data.hex()}"


@each
def test_no_other_contract_may_be_called(case: Case) -> None:
    rules = rules_of(case)
    for call in case.calls:
        for to in (STRANGER, ANN, COIN, bytes(20)):
            assert not permitted(rules, replace(call, to=to))


def of(name: str, index: int = -2) -> tuple[AdapterCalls, Any]:
    """The rules of an adapter, and one of its orders."""
    case = next(case for case in CASES if case.name == name)
    return rules_of(case), executor.order_of(case.calls[index].data)


AAVE_CHANGES: dict[str, dict[str, Any]] = {
    "another reserve than is sold": {"collateral": SALT},
    "another debt": {"debt": SALT},
    "a token that is no reserve": {"collateral": b"\x99" * 20},
    "another pool": {"pool": GOLD},
    "the executor itself": {"account": OWN},
    "nobody": {"account": bytes(20)},
    "nothing": {"repay": 0},
    "more than anybody has": {"repay": 1 << 128},
    "a loss": {"min_profit": -1},
    "a profit that nobody can make": {"min_profit": 1 << 128},
    "no sale": {"swap": executor.Swap()},
    "a pool that is not known": {"swap": executor.Swap((STRANGER,))},
    "a sale there and back": {"swap": executor.Swap((GOLD_COIN, GOLD_COIN))},
}


@pytest.mark.parametrize("what", AAVE_CHANGES)
def test_an_aave_liquidation_is_refused_with(what: str) -> None:
    rules, order = of("aave_v3", 1)
    assert permitted(rules, executor.call(OWN, order))
    assert not permitted(rules, executor.call(OWN, replace(order, **AAVE_CHANGES[what])))


CURIE_CHANGES: dict[str, dict[str, Any]] = {
    "the insurance fund": {"account": FUND},
    "the other side": {"size": -(10**18)},
    "more than the account holds": {"size": 6 * 10**18},
    "no size": {"size": 0},
    "another clearing house": {"clearing_house": GOLD},
    "a market that is not known": {"base_token": GOLD},
    "more margin than there is": {"margin": 1 << 128},
    "no price limit that a pool has": {"sqrt_price_limit_x96": 1},
    "a loss": {"min_profit": -1},
}


@pytest.mark.parametrize("what", CURIE_CHANGES)
def test_a_curie_liquidation_is_refused_with(what: str) -> None:
    rules, order = of("curie", 1)
    assert permitted(rules, executor.call(OWN, order))
    assert not permitted(rules, executor.call(OWN, replace(order, **CURIE_CHANGES[what])))


@pytest.mark.parametrize(
    ("size", "now"),
    [
        (5, None),
        (1, None),
        (7, None),
        (8, InvariantBroken),
        (-1, LimitReached),
        (-3, LimitReached),
        (-4, InvariantBroken),
    ],
)
def test_what_orders_turn_into_is_judged_at_every_price_of_the_pool(size: int, now: type[Exception] | None) -> None:
    """The account is flat, its orders owe 3 and give up to 10: 5 less 3 at this price, another one after a sale."""
    case = next(case for case in CASES if case.name == "curie")
    lower, upper = sqrt_price_at_tick(0), sqrt_price_at_tick(600)
    liquidity = 10 * WAD * lower * upper // (upper - lower) // 2**96
    state = replace(case.snapshot.state, ranges=(Range(0, 0, 600),))
    middle = 2 * lower * upper // (lower + upper)  # half of the base tokens are left
    readings = SimpleNamespace(**vars(case.snapshot.readings), markets={0: SimpleNamespace(sqrt_price=middle)})
    columns = Columns(CURIE_TABLES)
    writer = Writer(columns)
    writer.put(ORDERS, ANN, 0, (halves(liquidity)[1], 3 * WAD, 0, *(0,) * 8))
    rules = AdapterCalls(case.protocol)
    rules.see(replace(case.snapshot, state=state, readings=readings, columns=columns))
    order = replace(of("curie", 1)[1], size=size * WAD - (10**6 if size > 0 else 0))
    for replaces in (False, True):
        if now is None:
            rules.check(executor.call(OWN, order), replaces)
        else:
            with pytest.raises(LimitReached if replaces else now, match="the account's position"):
                rules.check(executor.call(OWN, order), replaces)


def test_a_batch_is_refused_with_a_step_that_is_not_a_liquidation() -> None:
    rules, batch = of("aave_v3", -1)
    sweep = executor.sweep(COIN, 1)
    step, other = batch.steps
    changes: dict[str, dict[str, Any]] = {
        "a sweep": {"steps": (step, (sweep, 100_000))},
        "a batch": {"steps": (step, (batch.data(), 100_000))},
        "an order of another kind": {"steps": (step, (of("curie")[1].data(), 100_000))},
        "a step of a loss": {"steps": (step, (replace(executor.order_of(other[0]), min_profit=-1).data(), 100_000))},  # type: ignore[type-var]
        "a step without gas": {"steps": (step, (other[0], 0))},
        "a step with more gas than a transaction has": {"steps": (step, (other[0], 1 << 24))},
        "one step": {"steps": (step,)},
        "no steps": {"steps": ()},
        "too many steps": {"steps": (step,) * 51},
        "another token": {"token": GOLD},
        "a loss": {"min_profit": -1},
    }
    assert permitted(rules, executor.call(OWN, batch))
    for what, change in changes.items():
        assert not permitted(rules, executor.call(OWN, replace(batch, **change))), what


def test_a_sale_begins_with_the_token_that_is_taken() -> None:
    case = next(case for case in CASES if case.name == "aave_v3")
    order = replace(of("aave_v3", 1)[1], collateral=SALT, debt=GOLD)
    assert "no known pool of that token" in case.protocol.permits(case.snapshot.state, executor.call(OWN, order))


def test_a_batch_has_steps_of_one_kind() -> None:
    rules, batch = of("curie", -1)
    bought = of("curie", 0)[1]
    mixed = replace(batch, steps=(batch.steps[0], (bought.data(), 900_000)))
    assert permitted(rules, executor.call(OWN, replace(batch, steps=((bought.data(), 900_000),) * 2)))
    assert not permitted(rules, executor.call(OWN, mixed))


def test_what_moves_the_capital_is_never_a_liquidation() -> None:
    for case in CASES:
        target = case.calls[0].to
        for function in FUNCTIONS.values():
            data = function.selector + b"".join(value.rjust(32, b"\0") for value in (COIN, STRANGER, b"\1"))
            assert not permitted(rules_of(case), Call(target, data)), function.name


def test_an_account_that_changed_stops_nothing_when_bytes_are_replaced() -> None:
    rules, order = of("curie", 1)
    for change in ({"account": STRANGER}, {"size": -(10**18)}):
        with pytest.raises(LimitReached):
            rules.check(executor.call(OWN, replace(order, **change)), replaces=True)
    with pytest.raises(InvariantBroken):
        rules.check(executor.call(OWN, replace(order, min_profit=-1)), replaces=True)


@given(data=st.data())
@settings(max_examples=300, deadline=None)
def test_calldata_is_decoded_only_in_the_one_encoding_that_the_encoder_makes(data: st.DataObject) -> None:
    call = data.draw(st.sampled_from([call for case in CASES for call in case.calls]))
    function = FUNCTIONS[call.data[:4]]
    assert function.arguments(call.data) == decode(function.inputs, call.data[4:])
    place, value = data.draw(st.integers(4, len(call.data) - 1)), data.draw(st.integers(0, 255))
    changed = call.data[:place] + bytes([value]) + call.data[place + 1 :] + data.draw(st.binary(max_size=33))
    assert strictly(function, changed) == by_the_encoder(function, changed)


def strictly(function: Function, data: bytes) -> Sequence[Any] | None:
    try:
        return function.arguments(data)
    except DecodingError:
        return None


def by_the_encoder(function: Function, data: bytes) -> Sequence[Any] | None:
    try:
        found = decode(function.inputs, data[4:])
    except (DecodingError, OverflowError, ValueError):
        return None
    return found if encode(function.inputs, found) == data[4:] else None


def test_every_address_of_every_call_is_among_those_that_are_altered() -> None:
    """The alterations look at calldata by its types: they miss no field."""
    for case in CASES:
        for call in case.calls:
            function = FUNCTIONS[call.data[:4]]
            found = list(leaves([parse(kind) for kind in function.inputs], decode(function.inputs, call.data[4:])))
            order = executor.order_of(call.data)
            addresses = sum(kind.base == "address" for _, kind, _ in found)  # type: ignore[attr-defined]
            if order is not None:
                direct = [getattr(order, field.name) for field in fields(order)]
                assert addresses == sum(isinstance(value, bytes) for value in direct) + sum(
                    len(value.pools) for value in direct if isinstance(value, executor.Swap)
                )
