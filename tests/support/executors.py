"""The executor contract on a node, and its operator's hand: what an order would come to, and carrying it out."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import pytest

from keeper.chain.errors import RpcError
from keeper.model.chain import hexed, unhexed
from keeper.protocols import executor as calls
from keeper.protocols.executor import AaveLiquidation, CurieCollateral, CurieLiquidation, Order
from keeper.sim.node.anvil import Anvil
from keeper.sim.node.artifacts import ask
from keeper.sim.node.client import Node, Tx, impersonate
from tests.support.engine import account

OPERATOR = account(0xEE)
TREASURY = account(0xEF)
GAS = 16_000_000

Single = AaveLiquidation | CurieLiquidation | CurieCollateral


class Reverted(Exception):
    """A call's revert data, explained."""

    def __init__(self, data: bytes) -> None:
        super().__init__(str(calls.explain(data)))
        self.reason = calls.explain(data)


@dataclass(frozen=True)
class Hand:
    """An executor whose operator and treasury are impersonated. Blocks are mined by hand (`Anvil(mining=False)`)."""

    anvil: Anvil
    node: Node
    executor: bytes

    @classmethod
    def on(cls, anvil: Anvil, node: Node, factory: bytes) -> "Hand":
        """Deploy it as its operator would."""
        impersonate(node, [OPERATOR, TREASURY])
        [receipt] = node.send(Tx(OPERATOR, None, calls.creation(TREASURY, OPERATOR, factory)))
        return cls(anvil, node, unhexed(receipt["contractAddress"]))

    def would(self, order: Order, timestamp: int, sender: bytes = OPERATOR) -> bytes:
        """What the call would return in a block of that time. Raises Reverted."""
        request = {"from": hexed(sender), "to": hexed(self.executor), "data": hexed(order.data()), "gas": hex(GAS)}
        try:
            return unhexed(self.anvil.rpc("eth_call", request, "latest", {}, {"time": hex(timestamp)}))
        except RpcError as error:
            raise Reverted(unhexed(error.data or "0x")) from None

    def profit(self, order: Single, timestamp: int) -> int:
        """What an order would earn, or lose. Raises Reverted."""
        try:
            return int.from_bytes(self.would(replace(order, min_profit=0), timestamp), "big", signed=True)
        except Reverted as refusal:
            if refusal.reason.name != "Unprofitable":
                raise
            return int(refusal.reason.args[1])

    def carry_out(self, order: Order, timestamp: int) -> Mapping[str, Any]:
        """The receipt of the order, mined in a block of that time."""
        self.anvil.set_next_timestamp(timestamp)
        [receipt] = self.node.try_send([Tx(OPERATOR, self.executor, order.data(), GAS)])
        return receipt

    def sweep(self, token: bytes, amount: int) -> None:
        """Take tokens out of the executor."""
        self.node.send(Tx(OPERATOR, self.executor, calls.sweep(token, amount)))

    def balance(self, token: bytes) -> int:
        return int(ask(self.node, token, "balanceOf(address)", self.executor))

    def allowance(self, token: bytes, spender: bytes) -> int:
        return int(ask(self.node, token, "allowance(address,address)", self.executor, spender))


@contextmanager
def undone(anvil: Anvil) -> Iterator[None]:
    """What happens inside did not happen; nor did its time pass, which the node would otherwise remember."""
    snapshot, now = anvil.snapshot(), anvil.timestamp()
    try:
        yield
    finally:
        anvil.revert(snapshot)
        anvil.set_next_timestamp(now + 1)


def checked(hand: Hand, order: Single, token: bytes) -> tuple[int, int]:
    """Carry an order out at exactly what it earns, having seen that one unit more is refused: (profit, gas used).

    The announced profit is the balance's growth. An order at a loss is refused, and costs no gas.
    """
    timestamp = hand.anvil.timestamp() + 2
    profit = hand.profit(order, timestamp)
    if profit < 0:  # refused, whatever the order asks for
        return profit, 0
    with pytest.raises(Reverted) as refusal:
        hand.would(replace(order, min_profit=profit + 1), timestamp)
    assert str(refusal.value) == f"Unprofitable({hexed(token)}, {profit}, {profit + 1})"
    before = hand.balance(token)
    receipt = hand.carry_out(replace(order, min_profit=profit), timestamp)
    assert int(receipt["status"], 16) == 1
    assert hand.balance(token) - before == profit
    return profit, int(receipt["gasUsed"], 16)
