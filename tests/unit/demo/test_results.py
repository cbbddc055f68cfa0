"""The demo's figures, counted from made-up blocks."""

from dataclasses import replace

from keeper.demo.results import bad_debt, ever_unsafe, inclusion, summarise
from tests.unit.demo.records import ACCOUNTS, BANKRUPT, CLOSED, HEALTHY, UNSAFE, intent, liquidation, record, state


def test_an_account_counts_as_missed_when_the_contract_calls_it_liquidatable_at_the_end() -> None:
    records = [record(1, HEALTHY, UNSAFE, UNSAFE), record(2, UNSAFE, HEALTHY, UNSAFE)]
    result = summarise(1, "", records, records, [])
    assert (result.liquidatable, result.rescued, result.missed) == (3, 1, 2)


def test_closed_accounts_are_rescued_and_wiped_out() -> None:
    records = [record(1, HEALTHY, UNSAFE, BANKRUPT), record(2, HEALTHY, HEALTHY, CLOSED)]
    result = summarise(1, "", records, records, [])
    assert (result.rescued, result.still_open, result.wiped_out) == (2, 1, 1)
    assert ever_unsafe(records) == {1, 2}


def test_an_account_whose_debt_was_written_off_is_not_rescued() -> None:
    last = replace(record(2, HEALTHY, HEALTHY, CLOSED), debtors=frozenset({ACCOUNTS[2]}))
    result = summarise(1, "", [record(1, HEALTHY, UNSAFE, BANKRUPT), last], [last], [])
    assert (result.liquidatable, result.rescued, result.missed, result.wiped_out) == (2, 1, 0, 1)


def test_bad_debt_is_what_was_written_off_and_what_is_still_owed() -> None:
    records = [record(1, HEALTHY, HEALTHY, BANKRUPT, bad_debt_usd=7.0), record(2, HEALTHY, HEALTHY, BANKRUPT)]
    assert bad_debt(records) == 57.0


def test_an_account_that_owes_without_a_position_is_below_any_health() -> None:
    assert state(-1, 0).health == float("-inf")
    assert state(1, 0).health == float("inf")
    assert state(-1, 0).unsafe


def test_profit_is_rewards_less_all_gas() -> None:
    liquidations = (
        liquidation(ACCOUNTS[0]),
        liquidation(ACCOUNTS[1], full=True),
        liquidation(ACCOUNTS[1], kind="seize", full=True, reward=5.0),
    )
    records = [
        record(1, HEALTHY, HEALTHY, HEALTHY, liquidations=liquidations, gas_usd=4.0, gas_wei=9, mined=3, reverted=1)
    ]
    result = summarise(3, "http://there", records, records, [])
    assert (result.partial, result.full, result.seized) == (1, 1, 1)
    assert (result.profit_usd, result.gas_wei, result.mined, result.reverted) == (21.0, 9, 3, 1)


def test_replacements_are_attempts_beyond_the_first_of_an_intent() -> None:
    records = [record(1, HEALTHY, HEALTHY, HEALTHY)]
    result = summarise(1, "", records, records, [intent(1, 3, 4), intent(2, 1, 1), intent(3, 0, None)])
    assert (result.sent, result.replaced) == (4, 2)


def test_inclusion_percentiles_are_nearest_ranks() -> None:
    waits = inclusion([intent(number, 1, 1 if number < 99 else number - 90) for number in range(1, 101)])
    assert (waits.p50, waits.p99) == (1.0, 9.0)


def test_nothing_mined_gives_no_percentiles() -> None:
    assert inclusion([intent(1, 1, None)]).p50 is None


def test_the_document_has_the_promised_keys() -> None:
    records = [record(1, HEALTHY, HEALTHY, HEALTHY)]
    document = summarise(1, "http://there", records, records, []).document()
    promised = (
        "seed accounts blocks rpc_url liquidatable rescued missed partial full bad_debt_usd "
        "bad_debt_without_keeper_usd profit_usd gas_wei sent mined reverted replaced blocks_to_inclusion"
    )
    assert set(promised.split()) <= set(document)
    assert document["blocks_to_inclusion"] == {"p50": None, "p99": None}
