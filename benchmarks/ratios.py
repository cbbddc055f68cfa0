"""Figures of two revisions side by side: which belong together, and the interval of the ratio of their medians."""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 10_000
LEVEL = 0.95


@dataclass(frozen=True, slots=True)
class Measured:
    """One figure of one run."""

    name: str
    value: float
    unit: str


@dataclass(frozen=True, slots=True)
class Ratio:
    """A figure of both revisions: medians over the runs, new / old, and the interval of that. None: not to be had."""

    name: str
    unit: str
    old: float
    new: float
    ratio: float | None
    low: float | None
    high: float | None
    runs: int

    def document(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__}


def bare(name: str) -> str:
    """A name without what varies: `head to wire, 37 blocks of a crash, median` is `head to wire, median`."""
    text = re.sub(r"\([^)]*\d[^)]*\)", "", re.sub(r"(?<=\d),(?=\d{3})", "", name))
    first, *rest = text.split(", ")
    return ", ".join([first.strip(), *(part.strip() for part in rest if not re.search(r"\d", part))])


def paired(new: Iterable[str], old: Iterable[str]) -> dict[str, str]:
    """New name -> old name: the same name, else the same bare name, in order where several have it."""
    new, old = list(new), list(old)
    pairs = {name: name for name in new if name in old}
    waiting = defaultdict[str, list[str]](list)
    for name in old:
        if name not in pairs:
            waiting[bare(name)].append(name)
    for name in new:
        if name not in pairs and waiting[bare(name)]:
            pairs[name] = waiting[bare(name)].pop(0)
    return {name: pairs[name] for name in new if name in pairs}


def interval(new: Sequence[float], old: Sequence[float], seed: int = 1) -> tuple[float, float] | None:
    """Bounds of median(new) / median(old), by a bootstrap that draws pairs of runs; None for one pair or none.

    A run of the new revision and the run of the old one beside it are drawn together: what slowed down the machine for
    a while slowed down both.
    """
    if len(new) < 2 or min(old) <= 0:
        return None
    first, second = np.asarray(new, float), np.asarray(old, float)
    draws = np.random.default_rng(seed).integers(0, len(first), (RESAMPLES, len(first)))
    ratios: NDArray[np.float64] = np.median(first[draws], axis=1) / np.median(second[draws], axis=1)
    low, high = np.quantile(ratios, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def compared(new: Sequence[Mapping[str, Measured]], old: Sequence[Mapping[str, Measured]]) -> list[Ratio]:
    """What both revisions gave in all runs; run i of the one was made beside run i of the other."""
    found = []
    for name, other in paired(_always(new), _always(old)).items():
        ours, theirs = [run[name].value for run in new], [run[other].value for run in old]
        middle, base = float(np.median(ours)), float(np.median(theirs))
        low, high = interval(ours, theirs) or (None, None)
        ratio = middle / base if base > 0 else None
        found.append(Ratio(name, new[0][name].unit, base, middle, ratio, low, high, len(ours)))
    return found


def unpaired(new: Sequence[Mapping[str, Measured]], old: Sequence[Mapping[str, Measured]]) -> list[str]:
    """Names that only one revision has, or not in each run."""
    pairs = paired(_always(new), _always(old))
    return sorted({name for run in new for name in run} - set(pairs)) + sorted(
        {name for run in old for name in run} - set(pairs.values())
    )


def _always(runs: Sequence[Mapping[str, Measured]]) -> list[str]:
    return [name for name in runs[0] if all(name in run for run in runs)] if runs else []
