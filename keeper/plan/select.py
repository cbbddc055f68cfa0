"""Which options to take when they compete: one of each group, within every budget, for the greatest total gain.

A knapsack with several budgets and groups. A few options are solved to the optimum by mixed-integer programming; of
many, the linear relaxation says which to try first. Either answer is checked in integers, and never worse than greedy.
"""

import ctypes
import os
from collections.abc import Collection, Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, milp

EXACT_OPTIONS = 24  # more are not worth the wait: planning stands between a block and its transactions
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
    shares = solve(options, by_density, budgets, whole=len(fitting) <= EXACT_OPTIONS)
    by_share = sorted(shares, key=lambda i: -round(shares[i], 6))  # stable: by density among equals
    answers.append(greedy(options, by_share + by_density, budgets))
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


def greedy(options: Sequence[Option], order: Sequence[int], budgets: Mapping[str, int]) -> list[int]:
    """Options in this order, each taken if it still fits, in exact integers."""
    taken: list[int] = []
    groups: set[Hashable] = set()
    left = dict(budgets)
    for i in order:
        option = options[i]
        if option.group not in groups and _fits(option, left):
            taken.append(i)
            groups.add(option.group)
            for key, amount in option.draws.items():
                left[key] = left.get(key, 0) - amount
    return taken


def solve(options: Sequence[Option], among: Sequence[int], budgets: Mapping[str, int], whole: bool) -> dict[int, float]:
    """How much of each option HiGHS (scipy.optimize.milp) takes: 0 or 1 when `whole`, any share of it otherwise.

    Empty when the solver has no answer. Shares are floats: what they say of budgets has to be checked.
    """
    scale = max((options[i].gain for i in among), default=0)
    rows = _group_rows(options, among) + _budget_rows(options, among, budgets)
    if scale == 0 or not rows:
        return dict.fromkeys(among, 1.0)
    with _silent_stdout():
        result = milp(
            np.array([-options[i].gain / scale * 1e6 for i in among]),
            integrality=np.full(len(among), int(whole)),
            bounds=Bounds(0, 1),
            constraints=LinearConstraint(np.array([row for row, _ in rows]), -np.inf, [limit for _, limit in rows]),
            options={"mip_rel_gap": 0.0, "node_limit": _NODES},
        )
    return {} if result.x is None else dict(zip(among, result.x.tolist(), strict=True))


@contextmanager
def _silent_stdout() -> Iterator[None]:
    """HiGHS prints a line from C now and then. Keep it out of JSON documents on standard output."""
    flush = ctypes.CDLL(None).fflush
    flush(None)
    try:
        saved, nowhere = os.dup(1), os.open(os.devnull, os.O_WRONLY)
    except OSError:  # no standard output to keep clean
        yield
        return
    try:
        os.dup2(nowhere, 1)
        yield
    finally:
        flush(None)
        os.dup2(saved, 1)
        os.close(saved)
        os.close(nowhere)


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
