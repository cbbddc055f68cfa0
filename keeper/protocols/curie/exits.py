"""Where collaterals can be sold: Uniswap v3 pools of the executor's factory, against the settlement token."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from eth_utils.crypto import keccak

from keeper.abi import checksum
from keeper.defi import chainlink
from keeper.errors import OperatorError
from keeper.model.chain import Call, CallResult

_FACTORY = keccak(text="factory()")[:4]


@dataclass(frozen=True, slots=True)
class ExitFactory:
    """The executor, empty when there is none, and the factory whose pools it trades with, empty until discovered."""

    executor: bytes
    factory: bytes = b""

    def discovery(self) -> list[Call]:
        return [Call(self.executor, _FACTORY)] if self.executor and not self.factory else []

    def discovered(self, results: Sequence[CallResult]) -> Self:
        """Raises OperatorError when the executor is no such contract."""
        factory = chainlink.address_of(results[0])
        if factory is None:
            raise OperatorError(
                f"KEEPER_DEPLOYMENT: Executor {checksum(self.executor)} returns no Uniswap factory: it is not a "
                "KeeperExecutor; deploy one (docs/operations.md), or leave it out for scans and dry runs"
            )
        return type(self)(self.executor, factory)
