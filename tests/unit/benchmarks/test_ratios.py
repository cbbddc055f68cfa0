"""Figures of two revisions: what is compared with what, and how sure the ratio is."""

import random

import pytest

from benchmarks.catalogue import GROUPS, NAMES, groups_of
from benchmarks.memory import figures
from benchmarks.ratios import Measured, bare, compared, interval, paired, unpaired

OLD_NAMES = [
    "requests a block, 50 accounts",
    "requests a block, 500 accounts",
    "cold start, 500 accounts, 35 blocks",
    "accounts screened, of 1,000,000",
    "accounts assessed, 0.0% decided in integers",
    "exact health in integers",
    "head to wire, 28 blocks of a crash, 947 liquidations, median",
    "head to wire, 99th percentile",
    "transactions signed",
    "book memory, 1,000,000 accounts x 3 holdings (1 + 1 + 3 values)",
    "book memory, 1,000,000 accounts x 3 holdings (3 x 3 values)",
]


def run(**values: float) -> dict[str, Measured]:
    return {name: Measured(name, value, "s") for name, value in values.items()}


def test_what_varies_in_a_name_is_left_away() -> None:
    assert bare("head to wire, 28 blocks of a crash, 947 liquidations, median") == "head to wire, median"
    assert bare("accounts screened, of 1,000,000") == "accounts screened"
    assert bare("exact health in integers") == "exact health in integers"


def test_names_of_older_revisions_find_their_successors() -> None:
    pairs = paired(NAMES, OLD_NAMES)
    assert set(pairs) == set(NAMES)
    assert sorted(pairs.values()) == sorted(OLD_NAMES)
    assert pairs["head to wire, median"] == OLD_NAMES[6]
    assert pairs["book memory (3 x 3 values)"] == OLD_NAMES[10]


def test_the_same_name_wins_over_a_like_one() -> None:
    assert paired(["load, 5 nodes", "load"], ["load", "load, 7 nodes"]) == {
        "load": "load",
        "load, 5 nodes": "load, 7 nodes",
    }
    assert paired(["a", "b"], ["b", "c"]) == {"b": "b"}
    assert list(paired(["load, 5 nodes", "load"], ["load", "load, 7 nodes"])) == ["load, 5 nodes", "load"]


def test_the_ratio_is_of_medians_and_lies_in_its_interval() -> None:
    [found] = compared([run(a=2), run(a=3), run(a=40)], [run(a=1), run(a=2), run(a=5)])
    assert (found.old, found.new, found.ratio, found.runs, found.unit) == (2, 3, 1.5, 3, "s")
    assert found.low is not None
    assert found.high is not None
    assert found.low <= 1.5 <= found.high


def test_the_interval_is_the_same_for_the_same_runs() -> None:
    new, old = [5.0, 7.0, 6.0, 9.0], [4.0, 5.0, 4.5, 8.0]
    assert interval(new, old) == interval(new, old)
    assert interval(new, old, seed=2) is not None


def test_equal_runs_leave_no_doubt() -> None:
    assert interval([3.0] * 5, [2.0] * 5) == (1.5, 1.5)


def test_what_slows_both_runs_of_a_pair_does_not_widen_the_interval() -> None:
    load = [1.0, 3.0, 1.5, 9.0, 2.0, 5.0]
    low, high = interval([1.2 * value for value in load], load) or (0, 0)
    assert (low, high) == pytest.approx((1.2, 1.2))


def test_the_interval_holds_the_true_ratio_about_as_often_as_it_says() -> None:
    chance = random.Random(1)
    held = 0
    for _ in range(100):
        old = [chance.gauss(100, 10) for _ in range(10)]
        new = [chance.gauss(110, 10) for _ in range(10)]
        low, high = interval(new, old) or (0, 0)
        held += low <= 1.1 <= high
    assert held >= 90


def test_one_run_has_no_interval_and_nothing_is_divided_by_nothing() -> None:
    [single] = compared([run(a=3)], [run(a=2)])
    assert (single.ratio, single.low, single.high) == (1.5, None, None)
    [zero] = compared([run(a=3), run(a=3)], [run(a=0), run(a=0)])
    assert (zero.ratio, zero.low, zero.high) == (None, None, None)
    assert zero.document() == {
        "name": "a", "unit": "s", "old": 0, "new": 3, "ratio": None, "low": None, "high": None, "runs": 2
    }  # fmt: skip


def test_what_is_not_in_each_run_is_named_and_not_compared() -> None:
    new, old = [run(a=1, b=1), run(a=1)], [run(a=1, c=1), run(a=1, c=1)]
    assert [one.name for one in compared(new, old)] == ["a"]
    assert unpaired(new, old) == ["b", "c"]


def test_figures_are_chosen_by_name_and_measured_by_group() -> None:
    assert groups_of("HEAD TO WIRE") == {"head to wire"}
    assert groups_of("") == set(GROUPS)
    assert groups_of("ghost") == set()


def test_names_in_the_catalogue_are_those_of_the_figures() -> None:
    assert tuple(figure.name for figure in figures(10)) == GROUPS["memory"]
    assert len(set(NAMES)) == len(NAMES)
