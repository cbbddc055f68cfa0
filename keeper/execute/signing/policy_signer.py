"""A signer behind the signing policy: checks before, verifies after."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from eth_account import Account
from eth_account.typed_transactions.typed_transaction import TypedTransaction
from eth_keys.exceptions import BadSignature
from eth_utils.crypto import keccak
from eth_utils.exceptions import ValidationError
from hexbytes import HexBytes

from keeper.errors import InvariantBroken, Transient
from keeper.execute.signing.encoding import HALF_ORDER
from keeper.execute.signing.policy import MAX_TX_GAS, SigningPolicy
from keeper.execute.signing.signer import SignedTx, Signer, UnsignedTx
from keeper.model.chain import Call
from keeper.protocols.base import Snapshot

BUDGET_S = 2.0


class PolicySigner:
    """A signer behind its policy: checks before, verifies after, and waits no longer than its budget.

    A signer that used up its budget is not asked for as long again: requests meanwhile fail at once.
    """

    def __init__(self, signer: Signer, policy: SigningPolicy, budget_s: float = BUDGET_S) -> None:
        if signer.address != policy.keeper:
            raise InvariantBroken("the signing policy is for another signer address")
        self._signer = signer
        self._policy = policy
        self._budget_s = budget_s
        self._silent_until = 0.0  # of the event loop's clock

    @property
    def address(self) -> bytes:
        return self._signer.address

    @property
    def chain_id(self) -> int:
        return self._policy.chain_id

    @property
    def max_gas(self) -> int:
        return min(self._policy.max_gas, MAX_TX_GAS)

    def allow(self, pairs: frozenset[tuple[bytes, bytes]]) -> None:
        """Set the approvals that may be signed. Raises InvariantBroken for a spender that is no target."""
        if strangers := {spender for _, spender in pairs} - self._policy.targets:
            raise InvariantBroken(
                f"refused to allow an approval for 0x{min(strangers).hex()}: it is no contract of the deployment"
            )
        self._policy = replace(self._policy, allowances=pairs)

    def see(self, snapshot: Snapshot, timestamp: int) -> None:
        """Judge calls by this block's state and accounts from now on, at the time of the plans: the next block's."""
        self._policy.calls.see(replace(snapshot, block=replace(snapshot.block, timestamp=timestamp)))

    def accounts_of(self, call: Call) -> tuple[bytes, ...]:
        """The accounts that a call is about, as far as known."""
        return self._policy.calls.accounts_of(call)

    def refusals(self, calls: Sequence[Call]) -> list[str]:
        """For calls that are to be signed in one block, in this order: why the limits forbid each, empty if not."""
        return self._policy.calls.refusals(calls)

    async def sign(self, tx: UnsignedTx, replaces: bool = False) -> SignedTx:
        """`replaces`: bytes that were signed before, at the same nonce.

        Raises InvariantBroken when the policy forbids it or the signer returned another transaction, Transient when a
        limit is reached, or the signer does not sign, or not within its budget.
        """
        stakes = self._policy.check(tx, replaces)
        signed = await self._in_time(tx)
        if problem := _difference(tx, signed, self.address):
            raise InvariantBroken(f"the signer returned {problem}")
        self._policy.calls.signed(stakes)
        return signed

    async def close(self) -> None:
        await self._signer.close()

    async def _in_time(self, tx: UnsignedTx) -> SignedTx:
        now = asyncio.get_running_loop().time
        if now() < self._silent_until:
            raise Transient(f"signer not asked: it did not answer within {self._budget_s:g} s a moment ago")
        try:
            async with asyncio.timeout(self._budget_s):
                return await self._signer.sign(tx)
        except TimeoutError:
            self._silent_until = now() + self._budget_s
            raise Transient(f"the signer did not sign within {self._budget_s:g} s (KEEPER_SIGNER_TIMEOUT_S)") from None


def _difference(tx: UnsignedTx, signed: SignedTx, keeper: bytes) -> str:
    """How signed bytes differ from the transaction; empty when they match and the keeper signed them."""
    if keccak(signed.raw) != signed.tx_hash:
        return "a wrong hash"
    fields = TypedTransaction.from_bytes(HexBytes(signed.raw)).as_dict()
    expected = {
        "chainId": tx.chain_id,
        "nonce": tx.nonce,
        "to": tx.to,
        "data": tx.data,
        "gas": tx.gas,
        "maxFeePerGas": tx.max_fee,
        "maxPriorityFeePerGas": tx.priority_fee,
        "value": tx.value,
    }
    for name, value in expected.items():
        found = fields[name]
        if (bytes(found) if isinstance(value, bytes) else found) != value:
            return f"another {name}"
    if not 0 < fields["s"] <= HALF_ORDER:
        return "a signature with a high s"
    return "" if _sender(signed.raw) == keeper else "another sender"


def _sender(raw: bytes) -> bytes:
    """The address that signed; empty for an invalid signature."""
    try:
        return bytes.fromhex(Account.recover_transaction(raw)[2:])
    except (BadSignature, ValidationError):
        return b""
