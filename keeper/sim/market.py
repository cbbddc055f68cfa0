"""A protocol's market on a development node: one interface, which `markets/{protocol}/market.py` implements.

The demo, tests and benchmarks deploy it (`MarketFactory.deploy`), open its accounts, play a scenario block by block
(`Player`), read every account after each block (`Referee`), and run the keeper against it. Only implementations of
this interface know a protocol.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Generic, Protocol, Self, TypeVar

from keeper.errors import OperatorError
from keeper.sim.node.client import Node, Tx
from keeper.sim.records import AccountState, LiquidationRecord
from keeper.sim.scenario import Scenario

TREASURY = bytes.fromhex(f"7e{1:038x}")  # of executors here; nobody has its key, the node can impersonate it
PROTOCOLS = ("margin_engine", "curie", "aave_v3")

Prices = Mapping[str, float]  # dollars by label; ETH is among them: it pays for gas
Receipt = Mapping[str, Any]  # as the node gives it
ViewCall = tuple[bytes, bytes]  # contract, calldata


class SimMarket(Protocol):
    """One deployed market. All methods block; transactions are of accounts that the node signs for.

    capital: dollars that the keeper gets at scale 1, of each token where there are several.
    """

    capital: int

    @property
    def node(self) -> Node: ...

    @property
    def tokens(self) -> Mapping[str, bytes]:
        """The tokens of the keeper's capital, by symbol."""
        ...

    @property
    def holder(self) -> bytes:
        """Who holds the capital: the keeper's executor, or the keeper itself. Empty before `fund_keeper`."""
        ...

    @property
    def prices(self) -> Prices:
        """Prices before the first step."""
        ...

    @property
    def title(self) -> str:
        """The protocol's name and its contract, for people."""
        ...

    @property
    def settings(self) -> Mapping[str, Any]:
        """Settings that a keeper of this market needs beside node, key and files, by their names in `Settings`."""
        ...

    def accounts(self, openings: Sequence[Any]) -> list[bytes]:
        """The accounts of a scenario's openings, in the same order."""
        ...

    def open(self, openings: Sequence[Any]) -> None:
        """Open some of a scenario's accounts. Raises InvariantBroken when the protocol refuses one."""
        ...

    def price_transactions(self, prices: Prices) -> Sequence[Tx]:
        """Transactions that bring oracle and pools to these prices, with their gas limits.

        They come first in the next block, in this order.
        """
        ...

    def views(self, account: bytes) -> Sequence[ViewCall]:
        """The protocol's own views of an account's health."""
        ...

    def state(self, account: bytes, answers: Sequence[bytes | None]) -> AccountState:
        """An account, from the answers to its views; None: that view reverted.

        Raises InvariantBroken when a view reverted that must not.
        """
        ...

    def liquidations(
        self, receipt: Receipt, prices: Prices, gas_usd: float
    ) -> tuple[list[LiquidationRecord], list[tuple[bytes, float]]]:
        """Liquidations in one transaction of the keeper, and (account, dollars) of bad debts that were written off.

        `subject` of a liquidation is a price label where there is one. gas_usd: the cost of the transaction, which its
        liquidations share.
        """
        ...

    def fund_keeper(self, keeper: bytes, scale: float, deployment: Path) -> None:
        """Deploy the executor if the market needs one, give it `capital` times `scale`, write the deployment file."""
        ...

    def forked(self, node: Node) -> Self:
        """The same market on a fork of its node."""
        ...


MarketT = TypeVar("MarketT", bound=SimMarket)
MarketT_co = TypeVar("MarketT_co", bound=SimMarket, covariant=True)


@dataclass(frozen=True, slots=True)
class MarketFactory(Generic[MarketT_co]):
    """How a protocol's market is made. Each market's module has one as `MARKET_FACTORY`."""

    scenario: Callable[[int, int, int], Scenario]  # seed, accounts, blocks
    deploy: Callable[[Node, float], MarketT_co]  # node, scale: how much larger than for 300 accounts
    setup_s: int = 120  # chain seconds that deploying and opening may take
    about: str = ""  # a sentence on the demo's keeper, for the report


def market_factory_of(protocol: str) -> MarketFactory[SimMarket]:
    """The factory of a protocol, `name@version` for another release than the default.

    Raises OperatorError when there is none.
    """
    name, _, version = protocol.partition("@")
    if name not in PROTOCOLS:
        raise OperatorError(f"--protocol {protocol}: give one of {', '.join(PROTOCOLS)}")
    module = import_module(f"keeper.sim.markets.{name}.market")
    if version and not hasattr(module, "VERSIONS"):
        raise OperatorError(f"--protocol {protocol}: there is only one release, give {name}")
    found: MarketFactory[SimMarket] = module.market_factory(version) if version else module.MARKET_FACTORY
    return found
