"""A Uniswap v3 factory, its pools, and a contract that makes markets and trades in them, on a development node."""

from dataclasses import dataclass

from eth_abi.abi import encode
from eth_utils.crypto import keccak

from keeper.sim.node.artifacts import Artifact, TxBatch, calldata, forged, packaged
from keeper.sim.node.client import Tx

TICK_SPACINGS = {100: 1, 500: 10, 3_000: 60, 10_000: 200}  # fee in millionths -> ticks, as on mainnet
MIN_SQRT_PRICE = 4295128739
MAX_SQRT_PRICE = 1461446703485210103287273052203988822378723970342
_POOL_GAS = 6_000_000


@dataclass(frozen=True, slots=True)
class Uniswap:
    """A factory and a `PoolTrader`: it trades with its own tokens, for anyone."""

    factory: bytes
    trader: bytes
    owner: bytes

    def create_pool(self, batch: TxBatch, a: bytes, b: bytes, fee: int, sqrt_price: int) -> bytes:
        """Queue a pool and its start at `sqrt_price` (sqrtPriceX96 of token1 a token0); its address."""
        batch.call(self.factory, "createPool(address,address,uint24)", a, b, fee, gas=_POOL_GAS)
        pool = pool_address(self.factory, a, b, fee)
        batch.call(pool, "initialize(uint160)", sqrt_price)
        return pool

    def mint(self, pool: bytes, lower: int, upper: int, liquidity: int) -> Tx:
        """Add liquidity between two ticks, or remove it when negative."""
        name = "mint" if liquidity > 0 else "burn"
        return self._tx(f"{name}(address,int24,int24,uint128)", pool, lower, upper, abs(liquidity))

    def swap(self, pool: bytes, zero_for_one: bool, amount: int, limit: int = 0) -> Tx:
        """Sell `amount` exactly, or buy it exactly when negative; stops at `limit`, a sqrt price, when it is given."""
        bound = limit or (MIN_SQRT_PRICE + 1 if zero_for_one else MAX_SQRT_PRICE - 1)
        return self._tx("swap(address,bool,int256,uint160)", pool, zero_for_one, amount, bound)

    def _tx(self, signature: str, *args: bytes | int | bool) -> Tx:
        return Tx(self.owner, self.trader, calldata(signature, *args))


def core(contract: str) -> Artifact:
    """A contract of Uniswap's own package."""
    return packaged("@uniswap/v3-core", "artifacts", "contracts", f"{contract}.sol", f"{contract}.json")


def deploy_uniswap(batch: TxBatch) -> Uniswap:
    """Queue a factory with mainnet's four fee tiers, and a trader, which still needs tokens."""
    factory = batch.create(core("UniswapV3Factory"))
    batch.call(factory, "enableFeeAmount(uint24,int24)", 100, TICK_SPACINGS[100])
    return Uniswap(factory, batch.create(forged("PoolTrader")), batch.sender)


def pool_address(factory: bytes, a: bytes, b: bytes, fee: int) -> bytes:
    """The CREATE2 address of a pool (`UniswapV3PoolDeployer.deploy`)."""
    salt = keccak(encode(["address", "address", "uint24"], [*sorted((a, b)), fee]))
    code_hash = keccak(bytes.fromhex(core("UniswapV3Pool").code))
    return bytes(keccak(b"\xff" + factory + salt + code_hash))[-20:]
