"""The executor of version 1, as it was released: one owner, neither floors nor deadlines."""

import json
from dataclasses import dataclass
from pathlib import Path

from keeper.abi import Contract
from keeper.model.chain import unhexed
from keeper.protocols.executor import AaveLiquidation, CurieLiquidation
from keeper.sim.node.client import Node, Tx
from tests.support.executors import GAS, OPERATOR, Hand, Single, undone

_RELEASED = json.loads(Path(__file__).with_suffix(".json").read_text())
FUNCTIONS = Contract(_RELEASED["abi"]).functions


def creation_v1(owner: bytes, factory: bytes) -> bytes:
    """Its creation code with its constructor's arguments."""
    return bytes.fromhex(_RELEASED["creation"]) + owner.rjust(32, b"\0") + factory.rjust(32, b"\0")


def deploy_v1(node: Node, owner: bytes, factory: bytes) -> bytes:
    """Its address."""
    [receipt] = node.send(Tx(owner, None, creation_v1(owner, factory)))
    return unhexed(receipt["contractAddress"])


def data_v1(order: Single) -> bytes:
    """The calldata of an order, without a deadline."""
    if isinstance(order, AaveLiquidation):
        first = (order.pool, order.account, order.collateral, order.debt, order.repay, order.flash_loan)
        return FUNCTIONS["liquidateAave"].encode((*first, order.swap.words(), order.min_profit))
    if isinstance(order, CurieLiquidation):
        first = (order.clearing_house, order.account, order.base_token, order.size, order.margin, order.cancel_orders)
        bounds = (order.sqrt_price_limit_x96, order.opposite_amount_bound, order.min_profit)
        return FUNCTIONS["liquidateCurie"].encode((*first, *bounds))
    words = (order.vault, order.account, order.collateral, order.amount, order.swap.words(), order.min_profit)
    return FUNCTIONS["liquidateCurieCollateral"].encode(words)


@dataclass(frozen=True)
class Growth:
    """Gas of one liquidation, through version 1 and through this one, of the same account in the same state."""

    first: int
    now: int

    @property
    def percent(self) -> float:
        return (self.now / self.first - 1) * 100


def growth(hand: Hand, first: bytes, order: Single) -> Growth:
    """Carry the same order out through the executor of version 1 at `first`, and through the hand's; both undone."""
    used = []
    for executor, data in ((first, data_v1(order)), (hand.executor, order.data())):
        with undone(hand.anvil):
            hand.anvil.set_next_timestamp(hand.anvil.timestamp() + 2)
            [receipt] = hand.node.try_send([Tx(OPERATOR, executor, data, GAS)])
            assert int(receipt["status"], 16) == 1
            used.append(int(receipt["gasUsed"], 16))
    return Growth(*used)
