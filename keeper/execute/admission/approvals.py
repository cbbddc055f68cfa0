"""Token allowances that liquidations need: which are missing, and the transactions that grant them."""

from collections.abc import Collection
from dataclasses import replace

from keeper.abi import checksum, load_abi
from keeper.chain.ports import ChainReader
from keeper.errors import Transient
from keeper.execute.signing.policy_signer import PolicySigner
from keeper.execute.tx.fees import call_fees
from keeper.execute.tx.pending import PendingIntents
from keeper.execute.tx.requests import urgent_request
from keeper.execute.tx.simulator import Simulator
from keeper.model.chain import BlockRef, Call
from keeper.model.intent import APPROVE, TxRequest
from keeper.model.plan import Policy
from keeper.protocols.base import Snapshot

UNLIMITED = 2**256 - 1
ENOUGH = 2**128  # some tokens count an unlimited allowance down
_GAS_LIMIT = 120_000
_ERC20 = load_abi("IERC20Metadata")

Pair = tuple[bytes, bytes]  # token, spender


async def missing(reader: ChainReader, block: BlockRef, owner: bytes, pairs: Collection[Pair]) -> list[Pair]:
    """The pairs whose allowance does not suffice, in one read. Raises Transient when a token does not answer."""
    allowance = _ERC20.functions["allowance"]
    ordered = sorted(pairs)
    results = await reader.read(block, [Call(token, allowance.encode(owner, spender)) for token, spender in ordered])
    lacking = []
    for (token, spender), result in zip(ordered, results, strict=True):
        if not result.ok or len(result.data) < 32:
            raise Transient(f"token {checksum(token)} does not answer allowance()")
        if allowance.decode(result.data)[0] < ENOUGH:
            lacking.append((token, spender))
    return lacking


def approval(pair: Pair, owner: bytes, block: BlockRef, policy: Policy) -> TxRequest:
    """An unlimited approval of one spender, worth the highest fee: without it there are no seizures."""
    token, spender = pair
    call = Call(token, _ERC20.functions["approve"].encode(spender, UNLIMITED))
    request = urgent_request(APPROVE, owner, call, _GAS_LIMIT, block, policy)
    return replace(request, subject=checksum(token), size=UNLIMITED)


class Approvals:
    """The allowances that the protocol names, from the signer's account."""

    def __init__(self, simulator: Simulator, signer: PolicySigner, pending: PendingIntents, policy: Policy) -> None:
        self._simulator = simulator
        self._signer = signer
        self._pending = pending
        self._policy = policy
        self._granted: frozenset[Pair] = frozenset()

    def permit(self, snapshot: Snapshot, timestamp: int) -> None:
        """Let the signer judge by this block, at that time, and sign the approvals that the protocol names in it.

        Raises InvariantBroken for a spender that is no target.
        """
        self._signer.see(snapshot, timestamp)
        self._signer.allow(self._wanted(snapshot))

    async def requests(self, snapshot: Snapshot) -> list[TxRequest]:
        """Approvals to send: of pairs that were not seen granted, that are not on their way, and that the token takes.

        Raises Transient when the chain does not answer: the next block asks again.
        """
        wanted = self._wanted(snapshot)
        if wanted <= self._granted:
            return []
        block, owner = snapshot.block, self._signer.address
        lacking = await missing(self._simulator.reader, block, owner, wanted - self._granted)
        self._granted |= wanted.difference(lacking)
        found = [self._with_data_gas(approval(pair, owner, block, self._policy)) for pair in lacking]
        return [request for request in found if await self._is_grantable(request, block)]

    def _with_data_gas(self, request: TxRequest) -> TxRequest:
        more = self._pending.data_fees.most_gas(len(request.call.data))
        return replace(request, gas_limit=request.gas_limit + more)

    def _wanted(self, snapshot: Snapshot) -> frozenset[Pair]:
        return frozenset(self._simulator.protocol.allowances(snapshot.state))

    async def _is_grantable(self, request: TxRequest, block: BlockRef) -> bool:
        """Not on its way, not refused a moment ago, and the token takes it."""
        token = request.call.to
        on_its_way = any(intent.kind == APPROVE and intent.to == token for intent in self._pending.open())
        if on_its_way or self._pending.cools(token, block.number):
            return False
        timestamp = block.timestamp + 1
        fees = call_fees(request.fees, block, self._policy)
        revert = await self._simulator.why_it_reverts(request.call, request.gas_limit, block, timestamp, fees)
        if revert:
            self._pending.cool(token, block.number + self._policy.cooldown_blocks)
        return revert is None
