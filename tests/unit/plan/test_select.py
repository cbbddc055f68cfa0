"""Choosing under budgets: the literature's knapsacks, and what must hold for any."""

import ctypes
from itertools import product
from random import Random

import pytest
from hypothesis import given, settings, strategies as st

from keeper.plan.select import Option, choose, greedy, solve, within

# Burkardt, KNAPSACK_01: capacity, weights, profits, optimum.
P01 = (165, [23, 31, 29, 44, 53, 38, 63, 85, 89, 82], [92, 57, 49, 68, 60, 43, 67, 84, 87, 72], 309)
P02 = (26, [12, 7, 11, 8, 9], [24, 13, 23, 15, 16], 51)
P03 = (190, [56, 59, 80, 64, 75, 17], [50, 50, 64, 46, 50, 5], 150)
P04 = (50, [31, 10, 20, 19, 4, 3, 6], [70, 20, 39, 37, 7, 5, 10], 107)
P05 = (104, [25, 35, 45, 5, 25, 3, 2, 2], [350, 400, 450, 20, 70, 8, 5, 5], 900)
P06 = (170, [41, 50, 49, 59, 55, 57, 60], [442, 525, 511, 593, 546, 564, 617], 1735)
P07 = (
    750,
    [70, 73, 77, 80, 82, 87, 90, 94, 98, 106, 110, 113, 115, 118, 120],
    [135, 139, 149, 150, 156, 163, 173, 184, 192, 201, 210, 214, 221, 229, 240],
    1458,
)
P08_WEIGHTS = """
382745 799601 909247 729069 467902 44328 34610 698150 823460 903959 853665 551830
610856 670702 488960 951111 323046 446298 931161 31385 496951 264724 224916 169684"""
P08_PROFITS = """
825594 1677009 1676628 1523970 943972 97426 69666 1296457 1679693 1902996 1844992 1049289
1252836 1319836 953277 2067538 675367 853655 1826027 65731 901489 577243 466257 369261"""
P08 = (6404180, [int(w) for w in P08_WEIGHTS.split()], [int(p) for p in P08_PROFITS.split()], 13549094)
PROBLEMS = {"p01": P01, "p02": P02, "p03": P03, "p04": P04, "p05": P05, "p06": P06, "p07": P07, "p08": P08}
GREEDY = {"p02": 47, "p03": 146, "p05": 858, "p07": 1441, "p08": 13415886}


def options_of(name: str) -> tuple[list[Option], dict[str, int]]:
    capacity, weights, profits, _ = PROBLEMS[name]
    return [Option(i, p, {"w": w}) for i, (p, w) in enumerate(zip(profits, weights, strict=True))], {"w": capacity}


def gain(options: list[Option], taken: list[int]) -> int:
    return sum(options[i].gain for i in taken)


@pytest.mark.parametrize("name", PROBLEMS)
def test_the_knapsacks_of_the_literature_are_solved_to_the_optimum(name: str) -> None:
    options, budgets = options_of(name)
    assert gain(options, choose(options, budgets)) == PROBLEMS[name][3]


@pytest.mark.parametrize("name", GREEDY)
def test_greedy_by_density_gives_what_it_is_known_to_give(name: str) -> None:
    options, budgets = options_of(name)
    order = sorted(range(len(options)), key=lambda i: -options[i].gain / options[i].draws["w"])
    assert gain(options, greedy(options, order, budgets)) == GREEDY[name]


@pytest.mark.parametrize("unit", [1, 10**18])
def test_amounts_of_any_scale_are_chosen_alike(unit: int) -> None:
    options, budgets = options_of("p01")
    scaled = [Option(o.group, o.gain * unit, {"w": o.draws["w"] * unit}) for o in options]
    assert gain(scaled, choose(scaled, {"w": budgets["w"] * unit})) == 309 * unit


def test_everything_is_taken_when_nothing_binds() -> None:
    options = [Option("a", 3, {"w": 5}), Option("a", 4, {"w": 6}), Option("b", 0, {})]
    assert choose(options, {"w": 6}) == [1, 2]


def test_a_smaller_option_of_a_group_is_taken_where_it_makes_room() -> None:
    options = [Option("a", 10, {"w": 10}), Option("a", 6, {"w": 4}), Option("b", 9, {"w": 6})]
    assert choose(options, {"w": 10}) == [1, 2]


def test_an_unknown_budget_is_an_empty_one() -> None:
    assert choose([Option("a", 1, {"w": 1}), Option("b", 1, {"w": 0})], {}) == [1]


def test_nothing_to_choose_from_is_nothing_chosen() -> None:
    assert choose([], {"w": 1}) == []
    assert solve([], [], {}, whole=True) == {}


draws = st.fixed_dictionaries({"gas": st.integers(0, 40), "cap": st.integers(0, 10**24), "count": st.just(1)})
random_options = st.lists(st.builds(Option, st.integers(0, 5), st.integers(0, 10**21), draws), max_size=9)
random_budgets = st.fixed_dictionaries(
    {"gas": st.integers(0, 100), "cap": st.integers(0, 3 * 10**24), "count": st.integers(0, 6)}
)


@given(random_options, random_budgets)
@settings(deadline=None, max_examples=60)
def test_the_answer_keeps_to_every_budget_and_is_the_best_of_all(
    options: list[Option], budgets: dict[str, int]
) -> None:
    """Budgets beyond ten millions lose up to one part in a million for each option to the solver's scale."""
    taken = choose(options, budgets)
    assert within(options, taken, budgets)
    sets = ([i for i, chosen in enumerate(bits) if chosen] for bits in product((0, 1), repeat=len(options)))
    certain = {**budgets, "cap": budgets["cap"] - budgets["cap"] * len(options) // 10**6 - 1}
    best = max(gain(options, found) for found in sets if within(options, found, certain))
    assert gain(options, taken) >= best * (1 - 1e-9)


@given(st.lists(st.builds(Option, st.integers(0, 100), st.integers(0, 10**21), draws), max_size=120), random_budgets)
@settings(deadline=None, max_examples=15)
def test_larger_sets_are_never_worse_than_greedy_and_leave_no_room(
    options: list[Option], budgets: dict[str, int]
) -> None:
    taken = choose(options, budgets)
    assert within(options, taken, budgets)
    by_gain = sorted(range(len(options)), key=lambda i: (-options[i].gain, i))
    assert gain(options, taken) >= gain(options, greedy(options, by_gain, budgets))
    assert not any(within(options, [*taken, i], budgets) for i in range(len(options)))
    assert choose(options, budgets) == taken


def test_the_solver_leaves_standard_output_alone(capfd: pytest.CaptureFixture[str]) -> None:
    """With this seed HiGHS prints a line of its own."""
    random = Random(165_012)
    options = []
    for i in range(12):
        size = random.randint(10**21, 10**24)
        gain = size // 100 - random.choice([0, 2 * 10**18])
        gas = random.randint(200_000, 500_000)
        options.append(Option(i, gain, {"gas": gas, f"cap{random.randrange(3)}": size, "n": 1}))
    budgets = {"gas": 2_400_000, "n": 6, "cap0": 12 * 10**23, "cap1": 12 * 10**23 + 7, "cap2": 24 * 10**23}
    assert within(options, choose(options, budgets), budgets)
    ctypes.CDLL(None).fflush(None)
    assert capfd.readouterr().out == ""
