"""What the key may sign."""

from dataclasses import dataclass, field

from eth_utils.crypto import keccak

from keeper.errors import InvariantBroken
from keeper.execute.signing.calls import CallRules
from keeper.execute.signing.signer import UnsignedTx
from keeper.model.chain import Call
from keeper.model.stakes import Stakes

MAX_TX_GAS = 2**24  # EIP-7825
_APPROVE = keccak(text="approve(address,uint256)")[:4]
_AMOUNTS = (b"\xff" * 32, b"\0" * 32)  # what the keeper approves, and what takes it back


@dataclass(frozen=True, slots=True)
class SigningPolicy:
    """What may be signed: calls to `targets` that `calls` allows, unlimited approvals and withdrawals of known pairs,
    and empty transfers to itself.

    `allowances`: (token, spender) pairs. `max_fee`: wei per gas. `creation`: keccak256 of the one creation code that
    may be signed, empty for none: a daemon creates no contracts.
    """

    chain_id: int
    keeper: bytes
    targets: frozenset[bytes]
    max_fee: int
    max_gas: int = MAX_TX_GAS
    allowances: frozenset[tuple[bytes, bytes]] = field(default_factory=frozenset)
    creation: bytes = b""
    calls: CallRules = field(default_factory=CallRules)

    def check(self, tx: UnsignedTx, replaces: bool = False) -> Stakes | None:
        """What the transaction is about, as far as that is known. `replaces`: bytes that were signed before.

        Raises InvariantBroken when the policy does not allow the transaction, LimitReached when it may later.
        """
        if problem := self._problem(tx):
            raise InvariantBroken(f"refused to sign: {problem}")
        return self.calls.check(Call(tx.to, tx.data), replaces) if self._is_liquidation(tx) else None

    def _is_liquidation(self, tx: UnsignedTx) -> bool:
        return bool(tx.to) and tx.to != self.keeper and not self._approves(tx)

    def _problem(self, tx: UnsignedTx) -> str:
        if tx.chain_id != self.chain_id:
            return f"chain id {tx.chain_id} instead of {self.chain_id}"
        if tx.value:
            return f"a transfer of {tx.value} wei"
        if not 0 <= tx.priority_fee <= tx.max_fee <= self.max_fee:
            return f"a fee of {tx.max_fee} wei per gas with a tip of {tx.priority_fee}, the cap is {self.max_fee}"
        if not 0 < tx.gas <= min(self.max_gas, MAX_TX_GAS):
            return f"a gas limit of {tx.gas}, the most is {min(self.max_gas, MAX_TX_GAS)}"
        if not tx.to:
            return "" if self.creation and keccak(tx.data) == self.creation else "the creation of a contract"
        return "" if self._may_call(tx) else f"a call to 0x{tx.to.hex()}"

    def _may_call(self, tx: UnsignedTx) -> bool:
        if tx.to == self.keeper:
            return not tx.data
        return tx.to in self.targets or self._approves(tx)

    def _approves(self, tx: UnsignedTx) -> bool:
        well_formed = len(tx.data) == 68 and tx.data[:4] == _APPROVE and not any(tx.data[4:16])
        return well_formed and (tx.to, tx.data[16:36]) in self.allowances and tx.data[36:] in _AMOUNTS
