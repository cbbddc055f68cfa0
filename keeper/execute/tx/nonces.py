"""Which nonces new intents get. Pure: the journal and the chain say what is taken."""

from collections.abc import Collection


def floor(chain_nonce: int, consumed: int) -> int:
    """The first nonce that may be free: the chain's count, or one beyond what the journal saw mined when a node lags.

    consumed: highest nonce that an outcome in the journal used, -1 for none.
    """
    return max(chain_nonce, consumed + 1)


def allocate(count: int, chain_nonce: int, consumed: int, taken: Collection[int]) -> list[int]:
    """The lowest `count` nonces that no open intent holds: a freed one is used before a new one."""
    found: list[int] = []
    nonce = floor(chain_nonce, consumed)
    while len(found) < count:
        if nonce not in taken:
            found.append(nonce)
        nonce += 1
    return found


def gaps(chain_nonce: int, consumed: int, taken: Collection[int]) -> list[int]:
    """Free nonces below one that is on its way: nothing above them can be mined until they are used."""
    top = max(taken, default=-1)
    return [nonce for nonce in range(floor(chain_nonce, consumed), top) if nonce not in taken]
