"""Token allowances that liquidations need: which are missing, and the call that grants one."""

from collections.abc import Collection

from keeper.abi import checksum, load_abi
from keeper.chain.ports import ChainReader
from keeper.errors import Transient
from keeper.execute.tx.fees import fee_until_deadline, max_bid
from keeper.model.chain import BlockRef, Call
from keeper.model.fees import Fees
from keeper.model.intent import APPROVE, TxRequest
from keeper.model.plan import Policy

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
            raise Transient(f"token {checksum(token)} does not answer allowance")
        if allowance.decode(result.data)[0] < ENOUGH:
            lacking.append((token, spender))
    return lacking


def approval(pair: Pair, owner: bytes, block: BlockRef, policy: Policy) -> TxRequest:
    """An unlimited approval of one spender, worth the highest fee: without it there are no seizures."""
    token, spender = pair
    limit = max_bid(policy.max_fee, policy.max_fee)
    max_fee = min(fee_until_deadline(block, policy.deadline_blocks, policy.priority_fee, policy), limit)
    return TxRequest(
        account=owner,
        kind=APPROVE,
        subject=checksum(token),
        size=UNLIMITED,
        call=Call(token, _ERC20.functions["approve"].encode(spender, UNLIMITED)),
        gas_limit=_GAS_LIMIT,
        fees=Fees(max_fee, min(policy.priority_fee, max_fee)),
        bid=policy.max_fee,
        value_wad=0,
        planned_block=block.number,
        deadline_block=block.number + policy.deadline_blocks,
    )
