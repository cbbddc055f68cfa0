"""Which options to take when they compete: one of each group, within every budget, for the greatest total gain.

A knapsack with several budgets and groups. Mixed-integer programming solves it where something binds; its answer is
checked in integers and replaced by the greedy one where that is better or the solver's does not hold.
"""

from collections.abc import Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, milp

SOLVER_OPTIONS = 40  # of more, the solver sees the most promising: it stands between a block and its transactions
EXACT_OPTIONS = 24  # up to so many it proves the optimum, beyond it stops within a thousandth
_NODES = 1_000  # a bound by work, not by time: the same input gives the same answer
_EXACT_BUDGET = 10**7  # larger budgets are scaled to a million, draws rounded up: HiGHS is at ease with such numbers
_SCALE = 10**6


@dataclass(frozen=True, slots=True)
class Option:
    """One way to serve a group. `gain` >= 0; `draws`: budget -> amount, both in integers."""

    group: Hashable
    gain: int
    draws: Mapping[str, int]


def choose(options: Sequence[Option], budgets: Mapping[str, int]) -> list[int]:
    """Indices of the options to take, ascending. Earlier options win ties. A draw on an unknown budget never fits."""
    fitting = [i for i, option in enumerate(options) if _fits(option, budgets)]
    best = _best_of_groups(options, fitting)
    if within(options, best, budgets):
        return best
    by_density = sorted(fitting, key=lambda i: (-_density(options[i], budgets), i))
    by_gain = sorted(fitting, key=lambda i: (-options[i].gain, i))
    answers = [greedy(options, order, budgets) for order in (by_density, by_gain)]
    exact = solve(options, _promising(by_density, by_gain), budgets)
    if exact is not None:
        answers.append(greedy(options, by_density, budgets, exact))
    worth = [(sum(options[i].gain for i in taken), len(taken)) for taken in answers]
    return sorted(answers[worth.index(max(worth))])


def within(options: Sequence[Option], taken: Collection[int], budgets: Mapping[str, int]) -> bool:
    """Whether these options keep to every budget and take each group once, in exact integers."""
    groups = {options[i].group for i in taken}
    total: dict[str, int] = {}
    for i in taken:
        for key, amount in options[i].draws.items():
            total[key] = total.get(key, 0) + amount
    return len(groups) == len(taken) and all(amount <= budgets.get(key, 0) for key, amount in total.items())


def greedy(
    options: Sequence[Option], order: Sequence[int], budgets: Mapping[str, int], start: Sequence[int] = ()
) -> list[int]:
    """`start`, and then whatever still fits, in the order given."""
    taken = list(start)
    groups = {options[i].group for i in taken}
    left = dict(budgets)
    for i in taken:
        _draw(left, options[i])
    for i in order:
        if options[i].group not in groups and _fits(options[i], left):
            taken.append(i)
            groups.add(options[i].group)
            _draw(left, options[i])
    return taken


def solve(options: Sequence[Option], among: Sequence[int], budgets: Mapping[str, int]) -> list[int] | None:
    """The best set by HiGHS (scipy.optimize.milp), None when its answer does not hold in integers."""
    if not among:
        return []
    scale = max(options[i].gain for i in among) or 1
    gains = np.array([options[i].gain / scale * 1e6 for i in among])
    rows = _group_rows(options, among) + _budget_rows(options, among, budgets)
    matrix = np.array([row for row, _ in rows])
    upper = np.array([limit for _, limit in rows])
    result = milp(
        -gains,
        integrality=np.ones(len(among)),
        bounds=Bounds(0, 1),
        constraints=LinearConstraint(matrix, -np.inf, upper) if rows else (),
        options={"mip_rel_gap": 0.0 if len(among) <= EXACT_OPTIONS else 1e-3, "node_limit": _NODES},
    )
    if result.x is None:
        return None
    taken = [i for i, share in zip(among, result.x, strict=True) if share > 0.5]
    return taken if within(options, taken, budgets) else None


def _budget_rows(
    options: Sequence[Option], among: Sequence[int], budgets: Mapping[str, int]
) -> list[tuple[list[float], float]]:
    """A row for each budget that can bind. Coefficients are integers that float64 holds exactly."""
    rows = []
    for key, budget in sorted(budgets.items()):
        draws = [options[i].draws.get(key, 0) for i in among]
        if sum(draws) <= budget:
            continue
        scale = budget if budget <= _EXACT_BUDGET else _SCALE
        rows.append(([float(-(-amount * scale // budget)) for amount in draws], float(scale)))
    return rows


def _group_rows(options: Sequence[Option], among: Sequence[int]) -> list[tuple[list[float], float]]:
    members: dict[Hashable, list[int]] = {}
    for place, i in enumerate(among):
        members.setdefault(options[i].group, []).append(place)
    rows = []
    for places in members.values():
        if len(places) > 1:
            row = [0.0] * len(among)
            for place in places:
                row[place] = 1.0
            rows.append((row, 1.0))
    return rows


def _promising(by_density: Sequence[int], by_gain: Sequence[int]) -> list[int]:
    """The first of both orders, alternating, in ascending order."""
    chosen: dict[int, None] = {}
    for pair in zip(by_density, by_gain, strict=True):
        for i in pair:
            if len(chosen) < SOLVER_OPTIONS:
                chosen[i] = None
    return sorted(chosen)


def _best_of_groups(options: Sequence[Option], among: Sequence[int]) -> list[int]:
    best: dict[Hashable, int] = {}
    for i in among:
        group = options[i].group
        if group not in best or options[i].gain > options[best[group]].gain:
            best[group] = i
    return sorted(best.values())


def _density(option: Option, budgets: Mapping[str, int]) -> float:
    """Gain for each share of a budget used, shares added up."""
    share = sum(amount / budgets[key] for key, amount in option.draws.items() if amount)
    return option.gain / share if share else float("inf")


def _fits(option: Option, left: Mapping[str, int]) -> bool:
    return all(amount <= left.get(key, 0) for key, amount in option.draws.items())


def _draw(left: dict[str, int], option: Option) -> None:
    for key, amount in option.draws.items():
        left[key] = left.get(key, 0) - amount
