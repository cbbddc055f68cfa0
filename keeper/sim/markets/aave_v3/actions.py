"""A deployed Aave v3 market, and all actions of its users and admins, as transactions."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from keeper.sim.keeper import write_deployment
from keeper.sim.markets.aave_v3.contracts import contracts_of
from keeper.sim.markets.aave_v3.listing import AaveListing
from keeper.sim.markets.exits import Exits, Pool
from keeper.sim.node.artifacts import TxBatch, ask, calldata
from keeper.sim.node.client import Node, Tx

PRICE_DECIMALS = 8
UINT256_MAX = 2**256 - 1
FEED_GAS, MOVE_GAS = 100_000, 3_000_000
STABLE, VARIABLE = 1, 2  # rate modes
USER_DATA = (
    "totalCollateralBase",
    "totalDebtBase",
    "availableBorrowsBase",
    "currentLiquidationThreshold",
    "ltv",
    "healthFactor",
)


@dataclass(frozen=True, slots=True)
class ReserveContracts:
    """The contracts of one reserve. `stable_debt` is zero in 3.6."""

    token: bytes
    a_token: bytes
    variable_debt: bytes
    stable_debt: bytes
    feed: bytes


@dataclass(frozen=True, slots=True)
class DeployedAave:
    """A market of real Aave v3. Actions return transactions, to be sent together or one at a time.

    `pool` is the proxy. Reserves by symbol; amounts in token units; `emode_feeds`: category -> feed of its own price.
    """

    node: Node
    version: str
    listing: AaveListing
    owner: bytes
    chain_id: int
    start_block: int
    provider: bytes
    pool: bytes
    configurator: bytes
    oracle: bytes
    reserves: Mapping[str, ReserveContracts]
    emode_feeds: Mapping[int, bytes]
    exits: Exits

    # Users.

    def fund(self, symbol: str, accounts: Iterable[bytes], units: int, spender: bytes | None = None) -> list[Tx]:
        """Mint a token to accounts, and let the pool (or `spender`) take it from them."""
        token = self.reserves[symbol].token
        approval = calldata("approve(address,uint256)", spender or self.pool, UINT256_MAX)
        return [tx for account in accounts for tx in (self.mint(symbol, account, units), Tx(account, token, approval))]

    def mint(self, symbol: str, to: bytes, units: int) -> Tx:
        """Mint tokens."""
        return Tx(self.owner, self.reserves[symbol].token, calldata("mint(address,uint256)", to, units))

    def supply(self, account: bytes, symbol: str, units: int, for_account: bytes | None = None) -> Tx:
        """Needs tokens and their approval: see `fund`. The first supply is enabled as collateral, LINK is not."""
        token = self.reserves[symbol].token
        return self._pool(account, "supply(address,uint256,address,uint16)", token, units, for_account or account, 0)

    def withdraw(self, account: bytes, symbol: str, units: int = UINT256_MAX) -> Tx:
        """All of it by default."""
        token = self.reserves[symbol].token
        return self._pool(account, "withdraw(address,uint256,address)", token, units, account)

    def borrow(self, account: bytes, symbol: str, units: int, mode: int = VARIABLE) -> Tx:
        signature = "borrow(address,uint256,uint256,uint16,address)"
        return self._pool(account, signature, self.reserves[symbol].token, units, mode, 0, account)

    def repay(self, account: bytes, symbol: str, units: int = UINT256_MAX, mode: int = VARIABLE) -> Tx:
        """Needs tokens and their approval. All of it by default."""
        signature = "repay(address,uint256,uint256,address)"
        return self._pool(account, signature, self.reserves[symbol].token, units, mode, account)

    def swap_rate_mode(self, account: bytes, symbol: str, mode: int) -> Tx:
        """Swap the whole debt of rate mode `mode` to the other mode (3.0.2 only)."""
        return self._pool(account, "swapBorrowRateMode(address,uint256)", self.reserves[symbol].token, mode)

    def set_emode(self, account: bytes, category: int) -> Tx:
        return self._pool(account, "setUserEMode(uint8)", category)

    def use_as_collateral(self, account: bytes, symbol: str, used: bool = True) -> Tx:
        signature = "setUserUseReserveAsCollateral(address,bool)"
        return self._pool(account, signature, self.reserves[symbol].token, used)

    def transfer(self, account: bytes, symbol: str, to: bytes, units: int) -> Tx:
        """Transfer aTokens."""
        return Tx(account, self.reserves[symbol].a_token, calldata("transfer(address,uint256)", to, units))

    def liquidate(
        self,
        liquidator: bytes,
        account: bytes,
        collateral: str,
        debt: str,
        units: int = UINT256_MAX,
        receive_a_token: bool = False,
    ) -> Tx:
        """Needs debt tokens and their approval. As much as the rules allow by default."""
        signature = "liquidationCall(address,address,address,uint256,bool)"
        pair = (self.reserves[collateral].token, self.reserves[debt].token)
        return self._pool(liquidator, signature, *pair, account, units, receive_a_token)

    # Markets.

    def set_price(self, symbol: str, dollars: float) -> Tx:
        """Set the oracle's price."""
        return self._set_feed(self.reserves[symbol].feed, dollars)

    def set_emode_price(self, category: int, dollars: float) -> Tx:
        """The price of all assets of a category that has one of its own (3.0.2 only)."""
        return self._set_feed(self.emode_feeds[category], dollars)

    def move_pools(self, dollars: Mapping[str, float], pools: Iterable[Pool] | None = None) -> list[Tx]:
        """Trade `pools`, or all of them, to these prices."""
        return [replace(self.exits.move(pool, dollars), gas=MOVE_GAS) for pool in pools or self.exits.pools]

    # Admins.

    def configure(self, signature: str, *args: Any) -> Tx:
        """Any function of the pool configurator; give tokens by `self.reserves[symbol].token`."""
        return Tx(self.owner, self.configurator, calldata(signature, *args))

    def pause(self, symbol: str, paused: bool = True, grace: int = 0) -> Tx:
        """`grace`: seconds after the end of a pause in which nobody may liquidate (3.6 only)."""
        token = self.reserves[symbol].token
        if grace:
            return self.configure("setReservePause(address,bool,uint40)", token, paused, grace)
        return self.configure("setReservePause(address,bool)", token, paused)

    def pause_all(self, paused: bool = True) -> Tx:
        return self.configure("setPoolPause(bool)", paused)

    def freeze(self, symbol: str, frozen: bool = True) -> Tx:
        return self.configure("setReserveFreeze(address,bool)", self.reserves[symbol].token, frozen)

    def as_owner(self, to: bytes, signature: str, *args: Any) -> Tx:
        """Any function of any contract, from the owner: for example the oracle's fallback."""
        return Tx(self.owner, to, calldata(signature, *args))

    def cover_deficit(self, symbol: str, units: int) -> list[Tx]:
        """Burn the owner's aTokens against a reserve's deficit, in the role of Aave's Umbrella (3.6 only)."""
        return [
            self.as_owner(self.provider, "setAddress(bytes32,address)", b"UMBRELLA".ljust(32, b"\0"), self.owner),
            self._pool(self.owner, "eliminateReserveDeficit(address,uint256)", self.reserves[symbol].token, units),
        ]

    def mint_to_treasury(self, *symbols: str) -> Tx:
        """Pay out what the reserve factors have earned, as aTokens."""
        return self._pool(self.owner, "mintToTreasury(address[])", [self.reserves[name].token for name in symbols])

    def install_sentinel(self, grace: int) -> tuple[bytes, bytes]:
        """Deploy a price-oracle sentinel and its sequencer's oracle, which is up; (sentinel, sequencer oracle)."""
        make, batch = contracts_of(self.version), TxBatch(self.node, self.owner)
        sequencer = batch.create(make("SequencerOracle"), self.owner)
        sentinel = batch.create(make("PriceOracleSentinel"), self.provider, sequencer, grace)
        batch.call(self.provider, "setPriceOracleSentinel(address)", sentinel)
        batch.send()
        return sentinel, sequencer

    def set_sequencer(self, sequencer: bytes, down: bool, since: int = 0) -> Tx:
        """`since`: the time when it last came up, in seconds."""
        return Tx(self.owner, sequencer, calldata("setAnswer(bool,uint256)", down, since))

    def make_deficit(self, account: bytes, liquidator: bytes, collateral: str, debt: str, dollars: float) -> None:
        """Create a debt without collateral: as a deficit of the reserve in 3.6, as the account's in 3.0.2.

        A fresh account borrows half of `dollars` of collateral, whose price is down to a quarter for one liquidation.
        """
        held, owed = self.listing.reserve(collateral), self.listing.reserve(debt)
        supplied = int(dollars / held.dollars * 10**held.decimals)
        borrowed = int(dollars / owed.dollars / 2 * 10**owed.decimals)
        self.node.send(*self.fund(collateral, [account], supplied), *self.fund(debt, [liquidator], borrowed))
        self.node.send(self.supply(account, collateral, supplied), self.borrow(account, debt, borrowed))
        self.node.send(self.set_price(collateral, held.dollars / 4))
        self.node.send(self.liquidate(liquidator, account, collateral, debt))
        self.node.send(self.set_price(collateral, held.dollars))

    # Views.

    def user_data(self, account: bytes, block: int | None = None) -> tuple[int, ...]:
        """The six outputs of `getUserAccountData` at a block, or at the newest, in the order of `USER_DATA`."""
        signature, words = "getUserAccountData(address)", ["uint256"] * 6
        return tuple(ask(self.node, self.pool, signature, account, returns=words, block=block))

    def balance(self, token: bytes, account: bytes) -> int:
        """Units of a token."""
        return int(ask(self.node, token, "balanceOf(address)", account))

    def deficit(self, symbol: str) -> int:
        """Debt that nobody will pay, in token units (3.6 only)."""
        return int(ask(self.node, self.pool, "getReserveDeficit(address)", self.reserves[symbol].token))

    def write_deployment(self, path: Path, executor: bytes = b"") -> None:
        """The deployment file that the keeper reads."""
        write_deployment(
            path,
            "aave_v3",
            (self.chain_id, self.start_block),
            {"PoolAddressesProvider": self.provider, "Executor": executor},
        )

    def _pool(self, sender: bytes, signature: str, *args: Any) -> Tx:
        return Tx(sender, self.pool, calldata(signature, *args))

    def _set_feed(self, feed: bytes, dollars: float) -> Tx:
        return Tx(self.owner, feed, calldata("set(int256)", round(dollars * 10**PRICE_DECIMALS)), FEED_GAS)
