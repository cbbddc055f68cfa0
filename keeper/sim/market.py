"""What a protocol's market is to the demo: one small interface, which `markets/{protocol}/market.py` implements.

The demo deploys (`Show.deploy`), opens accounts, plays a scenario's steps block by block (`Player`), reads every
account after each block (`Referee`), and runs the keeper against it (`run.py`). Only what is behind this interface
knows a protocol.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

from keeper.errors import OperatorError
from keeper.sim.node.client import Node, Tx
from keeper.sim.records import Liquidation, State
from keeper.sim.scenario import Scenario

PROTOCOLS = ("margin_engine", "curie", "aave_v3")

Prices = Mapping[str, float]  # dollars by label; ETH is among them: it pays for gas
Receipt = Mapping[str, Any]  # as the node gives it
View = tuple[bytes, bytes]  # contract, calldata


class Market(Protocol):
    """One deployed market. All methods block; transactions are of accounts that the node signs for."""

    @property
    def prices(self) -> Prices:
        """Before the first step."""
        ...

    @property
    def title(self) -> str:
        """The protocol's name and its contract, for people."""
        ...

    @property
    def settings(self) -> Mapping[str, Any]:
        """Settings of the demo's keeper beside those that it always gets, by their names in `Settings`."""
        ...

    def accounts(self, openings: Sequence[Any]) -> list[bytes]:
        """Whom a scenario's openings are of, in their order."""
        ...

    def open(self, openings: Sequence[Any]) -> None:
        """Open some of a scenario's accounts. Raises InvariantBroken when the protocol refuses one."""
        ...

    def moves(self, prices: Prices) -> Sequence[Tx]:
        """What brings oracle and pools from the newest block to these prices: first in the next block, in this order.

        Each names its gas.
        """
        ...

    def views(self, account: bytes) -> Sequence[View]:
        """The protocol's own views of an account's health."""
        ...

    def state(self, account: bytes, answers: Sequence[bytes | None]) -> State:
        """An account from the answers to its views; None is one that reverted: InvariantBroken when it may not."""
        ...

    def acts(
        self, receipt: Receipt, block: int, prices: Prices, gas_usd: float
    ) -> tuple[list[Liquidation], list[tuple[bytes, float]]]:
        """Liquidations in a transaction of the keeper, and (account, dollars) of the bad debts that were written off.

        Their `subject` is a price label where it has one.
        gas_usd: what the transaction cost, to be shared by its acts.
        """
        ...

    def equip(self, keeper: bytes, scale: float, deployment: Path) -> None:
        """Deploy the keeper's executor where there is one, give it the capital that a market of this scale needs, and
        write the deployment file."""
        ...


@dataclass(frozen=True, slots=True)
class MarketSpec:
    """How the demo of a protocol is made. Each market's module has one as `SHOW`."""

    scenario: Callable[[int, int, int], Scenario]  # seed, accounts, blocks
    deploy: Callable[[Node, float], Market]  # node, scale: how much larger than for 300 accounts
    setup_s: int = 120  # chain seconds that deploying and opening may take
    about: str = ""  # a sentence on the demo's keeper, for the report


def show_of(protocol: str) -> MarketSpec:
    """The demo of a protocol, `name@version` for another release than the usual. Raises OperatorError without one."""
    name, _, version = protocol.partition("@")
    if name not in PROTOCOLS:
        raise OperatorError(f"--protocol {protocol}: give one of {', '.join(PROTOCOLS)}")
    module = import_module(f"keeper.sim.markets.{name}.market")
    if version and not hasattr(module, "show"):
        raise OperatorError(f"--protocol {protocol}: there is only one release, give {name}")
    found: MarketSpec = module.show(version) if version else module.SHOW
    return found
