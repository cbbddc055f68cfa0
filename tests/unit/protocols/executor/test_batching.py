"""Which plans go together, and what a batch asks for. Pure."""

from collections import Counter
from dataclasses import replace
from fractions import Fraction
from typing import Any

from hypothesis import given, strategies as st

from keeper.model.chain import Call
from keeper.model.health import Health
from keeper.model.intent import Intent, IntentState
from keeper.model.plan import Opportunity, Plan
from keeper.protocols import executor
from keeper.protocols.executor import AaveLiquidation, Batch, CurieLiquidation, Swap
from keeper.protocols.executor.batching import BATCH, members, packed

EXECUTOR, OTHER, POOL, USD, ETH = (bytes([n]) * 20 for n in range(1, 6))
HEALTH = Health(1, 2, True, 5 * 10**17)
MOST_GAS = 2**24


def order_for(kind: str, account: bytes, token: bytes, least: int) -> bytes:
    if kind == "aave":
        return AaveLiquidation(POOL, account, ETH, token, 100, True, Swap((POOL,)), least).data()
    if kind == "curie":
        return CurieLiquidation(POOL, account, ETH, 1, 10, False, 0, 0, least).data()
    return b"\1\2\3\4"


def plan(number: int, kind: str = "aave", token: bytes = USD, **changes: Any) -> Plan:
    values = {"gas": 450_000, "gas_limit": 700_000, "score": 100.0 - number, "least": 40, "bid": 500, "to": EXECUTOR}
    values |= changes
    account = number.to_bytes(20, "big")
    opportunity = Opportunity(
        account=account, kind="liquidate", subject="X", size=1, notional_wad=0, reward_wad=5, rewards={token: 50},
        spends={token: 10}, uses={"cap": (3, 100)}, gas=values["gas"], gas_limit=values["gas_limit"], before=HEALTH,
        after=HEALTH,
    )  # fmt: skip
    call = Call(values["to"], order_for(kind, account, token, values["least"]))
    return Plan(opportunity, call, 300 + number, 1, values["bid"], 7, values["score"], 10, 16 + number)


def batch_of(made: Plan) -> Batch:
    order = executor.order_of(made.call.data)
    assert isinstance(order, Batch)
    return order


def test_a_batch_sums_and_its_bounds_are_the_strictest() -> None:
    [made] = packed([plan(1, bid=400), plan(2), plan(3)], 8, MOST_GAS)
    chosen = made.opportunity
    assert (chosen.kind, chosen.subject, chosen.account, chosen.size) == (BATCH, "3 accounts", EXECUTOR, 3)
    assert (chosen.rewards, chosen.spends, chosen.uses) == ({USD: 150}, {USD: 30}, {"cap": (9, 100)})
    assert (made.value_wad, made.score) == (21, 294.0)
    assert (made.bid, made.max_fee, made.deadline_block) == (400, 303, 17)
    assert [limit for _, limit in batch_of(made).steps] == [700_000] * 3
    assert chosen.gas_limit > 3 * 700_000 * 64 // 63


def test_all_together_must_earn_what_the_gas_of_all_takes_together() -> None:
    [made] = packed([plan(1, least=100), plan(2, least=301)], 8, MOST_GAS)
    gas = 900_000 + executor.BATCH_GAS - executor.AAVE_BATCH_SAVES
    assert made.opportunity.gas == gas
    assert batch_of(made).min_profit == -(-401 * gas // 900_000)


def test_all_together_must_cover_their_gas_not_what_each_was_quoted_at() -> None:
    half, all_of_it = plan(1, least=100), plan(2, least=300)
    [made] = packed([replace(half, covering=Fraction(1, 2)), replace(all_of_it, covering=Fraction(1, 3))], 8, MOST_GAS)
    assert batch_of(made).min_profit == -(-150 * made.opportunity.gas // 900_000)
    assert [limit for _, limit in batch_of(made).steps] == [700_000] * 2
    assert made.covering == 1


def test_a_plan_alone_and_plans_of_no_executor_stay_as_they_are() -> None:
    plans = [plan(1), plan(2, "else"), plan(3, "else")]
    assert packed(plans, 8, MOST_GAS) == plans
    pair = [plan(1), plan(2)]
    assert packed(pair, 1, MOST_GAS) == pair


def test_kinds_tokens_and_executors_are_kept_apart() -> None:
    plans = [plan(1), plan(2, "curie"), plan(3, token=ETH), plan(4, to=OTHER), plan(5)]
    made = packed(plans, 8, MOST_GAS)
    assert [item.opportunity.subject for item in made] == ["2 accounts", "X", "X", "X"]


def test_an_intent_is_about_the_accounts_of_its_steps() -> None:
    [made] = packed([plan(1), plan(2)], 8, MOST_GAS)

    def intent(of: Plan) -> Intent:
        kind, account = of.opportunity.kind, of.account
        return Intent(1, account, kind, "", 1, IntentState.PENDING, 0, of.call.to, of.call.data, 1, 1, 1, 1, 1)

    assert members(intent(made)) == [(1).to_bytes(20, "big"), (2).to_bytes(20, "big")]
    assert members(intent(plan(9))) == [(9).to_bytes(20, "big")]


@given(
    kinds=st.lists(st.sampled_from(["aave", "curie", "else"]), max_size=14),
    most=st.integers(1, 6),
    max_gas=st.integers(1_000_000, MOST_GAS),
)
def test_every_account_goes_out_once_within_the_limits(kinds: list[str], most: int, max_gas: int) -> None:
    plans = [plan(number, kind) for number, kind in enumerate(kinds)]
    made = packed(plans, most, max_gas)
    accounts = Counter[bytes]()
    for item in made:
        batched = item.opportunity.kind == BATCH
        accounts.update(executor.accounts_of(item.call.data) if batched else [item.account])
        if batched:
            assert 2 <= len(batch_of(item).steps) <= most
            assert item.opportunity.gas_limit <= max_gas
    assert accounts == Counter(item.account for item in plans)
    assert [item.score for item in made] == sorted((item.score for item in made), reverse=True)
