"""What the keeper's accounts held as of one block, and what the books say that they should hold."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from keeper.model.intent import NATIVE, Intent

Place = tuple[bytes, bytes]  # who holds, and which token: NATIVE for the native coin


@dataclass(frozen=True, slots=True)
class Capital:
    """Units by place, read at one block. `nonce`: the signer's next nonce there."""

    block_number: int
    block_hash: bytes
    nonce: int
    units: Mapping[Place, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Missing:
    """A place that holds less than the books explain. Units of its token."""

    place: Place
    expected: int
    found: int


def booked(intents: Iterable[Intent], signer: bytes, holder: bytes) -> dict[Place, int]:
    """What outcomes changed, signed: the native coin is the signer's, tokens are the holder's."""
    changes: dict[Place, int] = {}
    for intent in intents:
        for token, units in (intent.outcome.profit if intent.outcome else {}).items():
            place = (signer if token == NATIVE else holder, token)
            changes[place] = changes.get(place, 0) + units
    return changes


def shortfalls(before: Capital, after: Capital, changes: Mapping[Place, int]) -> list[Missing]:
    """Places that hold less than `before` and the changes explain. More is never one."""
    found = []
    for place, units in after.units.items():
        if place not in before.units:
            continue  # it was not looked at before
        expected = before.units[place] + changes.get(place, 0)
        if units < expected:
            found.append(Missing(place, expected, units))
    return found


def unanswered(before: Capital, after: Capital) -> list[Place]:
    """Places of the same holders that were read before and are not in `after`."""
    holders = {holder for holder, _ in after.units}
    return [place for place in before.units if place[0] in holders and place not in after.units]


def carried(before: Capital, after: Capital, changes: Mapping[Place, int]) -> Capital:
    """`after`, with what is expected at places that did not answer: they are compared when they answer again."""
    expected = {place: max(before.units[place] + changes.get(place, 0), 0) for place in unanswered(before, after)}
    return replace(after, units={**expected, **after.units})
