"""Calldata that the key must not sign: random bytes, and valid calls with one thing altered."""

from collections.abc import Iterator, Sequence
from random import Random
from typing import Any

from eth_abi.abi import decode, encode
from eth_abi.grammar import ABIType, TupleType, parse

from keeper.abi import load_abi
from keeper.model.chain import Call

FUNCTIONS = {
    function.selector: function
    for name in ("KeeperExecutor", "MarginEngine")
    for function in load_abi(name).functions.values()
}
WAYS = ("address", "selector", "sign", "length")

Path = tuple[int, ...]


def altered(data: bytes, way: str, rng: Random) -> bytes:
    """Calldata with one address, the selector, one number's sign, or the length altered."""
    if way == "selector":
        return _selector(data, rng) + data[4:]
    if way == "length":
        return _length(data, rng)
    function = FUNCTIONS[data[:4]]
    kinds = [parse(kind) for kind in function.inputs]
    values = decode(function.inputs, data[4:])
    fitting = [leaf for leaf in leaves(kinds, values) if _fits(leaf[1], leaf[2], way)]
    path, kind, value = rng.choice(fitting)
    return function.selector + encode(function.inputs, put(values, path, _other(kind, value, way, rng)))


def leaves(kinds: Sequence[ABIType], values: Sequence[Any], path: Path = ()) -> Iterator[tuple[Path, ABIType, Any]]:
    """Every single value in decoded arguments, with its type and where it is."""
    for place, (kind, value) in enumerate(zip(kinds, values, strict=True)):
        here = (*path, place)
        if kind.is_array:
            yield from leaves([kind.item_type] * len(value), value, here)
        elif isinstance(kind, TupleType):
            yield from leaves(kind.components, value, here)
        else:
            yield here, kind, value


def put(values: Any, path: Path, new: Any) -> Any:
    """The arguments with another value at a place."""
    first, *rest = path
    changed = list(values)
    changed[first] = put(changed[first], tuple(rest), new) if rest else new
    return tuple(changed)


def _fits(kind: ABIType, value: Any, way: str) -> bool:
    base: str = kind.base  # type: ignore[attr-defined]
    if base == "bytes":
        return True  # a step of a batch, which has addresses and numbers of its own
    return base == "address" if way == "address" else base in ("int", "uint") and value != 0


def _other(kind: ABIType, value: Any, way: str, rng: Random) -> Any:
    if isinstance(value, bytes):
        return altered(value, way, rng)
    if way == "address":
        flipped = int(value, 16) ^ 1 << rng.randrange(160)
        return "0x" + rng.choice([flipped.to_bytes(20, "big"), rng.randbytes(20), bytes(20)]).hex()
    base, bits = kind.base, int(kind.sub)  # type: ignore[attr-defined]
    return -value if base == "int" else (1 << bits) - value


def _selector(data: bytes, rng: Random) -> bytes:
    others = [selector for selector in FUNCTIONS if selector != data[:4]]
    flipped = (int.from_bytes(data[:4], "big") ^ 1 << rng.randrange(32)).to_bytes(4, "big")
    return rng.choice([flipped, rng.choice(others)])


def _length(data: bytes, rng: Random) -> bytes:
    count = rng.choice([1, 31, 32, 64, rng.randrange(1, 100)])
    place = 4 + 32 * rng.randrange((len(data) - 4) // 32)
    return rng.choice(
        [data + bytes(count), data + rng.randbytes(count), data[:-count], data[:place] + data[place + 32 :]]
    )


def invented(model: Call, rng: Random) -> bytes:
    """Random calldata, mostly with a real selector and as many words as a real call has."""
    if rng.random() < 0.3:
        return rng.randbytes(rng.randrange(600))
    words = (len(model.data) - 4) // 32
    small = [rng.randrange(1 << rng.choice([1, 8, 64, 160])).to_bytes(32, "big") for _ in range(words)]
    made = [rng.choice([word, word, rng.randbytes(32)]) for word in small]
    return rng.choice([model.data[:4], model.data[:4], rng.randbytes(4)]) + b"".join(made)
