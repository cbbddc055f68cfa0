"""What rollups charge for publishing a transaction on L1: wei beside its gas (OP stack), or more gas (Arbitrum)."""

from dataclasses import dataclass

from keeper.model.compression import fastlz_length

# A signed transaction without its calldata: chain id, nonce, fees, gas, receiver, lengths and signature as RLP. At most
# 122 bytes up to a fee of 281,000 gwei.
ENVELOPE = 122
PER_GAS = 10**9  # units of gas for which the operator's share is given
_RISE_PERCENT = 125  # of what a reservation holds back: the fee on L1 moves while a transaction is on its way
_GAS_RISE_PERCENT = 150  # a base fee on L2 that falls makes the same fee more gas


@dataclass(frozen=True, slots=True)
class DataFees:
    """The prices as of one block. Fees are wei, sizes bytes after compression.

    A transaction of a size costs what lies on the line through `small` and `large`, each (size, fee), at least `least`;
    `operator`: wei for no gas, and for PER_GAS. `byte_price`: wei of a byte that is charged as gas, at `gas_price`.
    """

    least: int = 0
    small: tuple[int, int] = (0, 0)
    large: tuple[int, int] = (1, 0)
    operator: tuple[int, int] = (0, 0)
    byte_price: int = 0
    gas_price: int = 1

    @property
    def charged(self) -> bool:
        """Whether data costs anything on this chain."""
        return self != NO_DATA_FEES

    def expected(self, data: bytes, gas: int) -> int:
        """Wei beside the gas for a transaction with this calldata that uses so much gas."""
        return self._fee(fastlz_length(data) + ENVELOPE, gas) if self._beside else 0

    def most(self, length: int, gas_limit: int) -> int:
        """The same for calldata of a length that does not compress, as far as the fee may rise until it is mined."""
        return self._fee(incompressible(length + ENVELOPE), gas_limit) * _RISE_PERCENT // 100 if self._beside else 0

    def expected_gas(self, data: bytes) -> int:
        """Gas that a transaction with this calldata takes beside its execution."""
        return -(-(fastlz_length(data) + ENVELOPE) * self.byte_price // self.gas_price) if self.byte_price else 0

    def most_gas(self, length: int) -> int:
        """The same for its gas limit, which has to suffice when the calldata does not compress and prices move."""
        return -(-incompressible(length + ENVELOPE) * self.byte_price * _GAS_RISE_PERCENT // (100 * self.gas_price))

    @property
    def _beside(self) -> bool:
        return bool(self.least or self.large[1] or any(self.operator))

    def _fee(self, size: int, gas: int) -> int:
        (x0, y0), (x1, y1) = self.small, self.large
        published = y0 - (y1 - y0) * (x0 - size) // (x1 - x0)
        constant, per_gas = self.operator
        return max(published, self.least) + constant - (constant - per_gas) * gas // PER_GAS


NO_DATA_FEES = DataFees()


def incompressible(size: int) -> int:
    """The most that FastLZ makes of so many bytes: runs of 32 as they are, each after a byte of its own."""
    return size + size // 32 + 1
