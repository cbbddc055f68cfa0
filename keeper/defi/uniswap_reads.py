"""Reads of Uniswap v3 pools: once their constants; in every block their price and the ticks around it."""

from collections.abc import Sequence

from eth_abi.abi import decode
from eth_abi.exceptions import DecodingError
from eth_utils.crypto import keccak

from keeper.abi import load_abi, load_runtime
from keeper.defi.uniswap_v3 import Pool, PoolState
from keeper.model.chain import Call, CallResult

FEES = (100, 500, 3_000, 10_000)  # millionths: the tiers of mainnet's factory
LENS = keccak(text="keeper.pool-lens")[-20:]  # nobody has its key
_GET_POOL = keccak(text="getPool(address,address,uint24)")[:4]
_VIEW = "(uint160,int24,uint128,int24,int24,int256[])"
_DESCRIBED = ("token0", "token1", "fee", "tickSpacing")


def find(factory: bytes, a: bytes, b: bytes, fee: int) -> Call:
    """The read of a pool's address; `keeper.defi.proxies.stored_address` decodes it, empty when there is no pool."""
    return Call(factory, b"".join((_GET_POOL, a.rjust(32, b"\0"), b.rjust(32, b"\0"), fee.to_bytes(32, "big"))))


def describe(pool: bytes) -> list[Call]:
    """What `described` decodes."""
    functions = load_abi("IUniswapV3Pool").functions
    return [Call(pool, functions[name].encode()) for name in _DESCRIBED]


def described(pool: bytes, results: Sequence[CallResult]) -> Pool | None:
    """None when it does not answer as a pool does."""
    if not all(result.ok and len(result.data) == 32 for result in results):
        return None
    token0, token1 = (result.data[12:] for result in results[:2])
    fee, spacing = (int.from_bytes(result.data, "big") for result in results[2:])
    return Pool(pool, token0, token1, fee, spacing) if 0 < spacing < 16_384 and fee < 10**6 else None


def around(pool: bytes, reach: int) -> Call:
    """Reads price, liquidity and the initialised ticks within `reach` ticks of the price, whatever it is (10 % are 953
    ticks). On the chain that costs a few thousand gas for each initialised tick, in an `eth_call` that nobody pays.
    """
    return Call(LENS, load_abi("PoolLens").functions["read"].encode(pool, reach), code=load_runtime("PoolLens"))


def state_of(pool: Pool, result: CallResult) -> PoolState | None:
    """The answer to `around`. None when there is none: no such pool, not initialised, or a node without overrides."""
    if not result.ok or not result.data:
        return None
    try:
        [(sqrt_price, tick, liquidity, lowest, highest, packed)] = decode([_VIEW], result.data)
    except (DecodingError, OverflowError):
        return None
    ticks = tuple(word + 2**127 >> 128 for word in packed)  # a negative net borrowed from it
    nets = tuple(word - (tick << 128) for word, tick in zip(packed, ticks, strict=True))
    return PoolState(pool, sqrt_price, tick, liquidity, ticks, nets, (lowest, highest)) if sqrt_price else None
