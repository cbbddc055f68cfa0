"""Mends nonces: gaps are filled, what is refused as too high is looked into, what somebody else used is given up."""

from collections.abc import Callable

from keeper.chain.ports import ChainSender
from keeper.execute.journal.journal import Journal
from keeper.execute.tx import nonces
from keeper.execute.tx.broadcaster import TRANSFER_GAS, Broadcaster, identity
from keeper.execute.tx.fees import fee_until_deadline
from keeper.execute.tx.pending import PendingIntents
from keeper.model.chain import BlockRef, Call
from keeper.model.events import TX_SUPERSEDED, Event
from keeper.model.fees import Fees
from keeper.model.intent import FILL, Intent, IntentState, TxRequest
from keeper.model.plan import Policy

GAP_BLOCKS = 2  # how long a free nonce below others may stay free
LOOKS = 3  # how often none of our hashes may be found mined before a used nonce counts as someone else's
TRIES = 3  # how often a nonce may be called too high before it is looked into


class NonceRepair:
    """The part of the following that is about nonces. `hold`: nothing new is sent until a person has looked."""

    def __init__(
        self,
        journal: Journal,
        broadcaster: Broadcaster,
        sender: ChainSender,
        pending: PendingIntents,
        policy: Policy,
        hold: Callable[[str], None],
    ) -> None:
        self._journal = journal
        self._broadcaster = broadcaster
        self._sender = sender
        self._pending = pending
        self._policy = policy
        self._emit = broadcaster.emit
        self._hold = hold
        self._looks: dict[int, int] = {}
        self._gaps: dict[int, int] = {}  # nonce -> block in which it was first seen free

    def forget(self, intent: Intent) -> None:
        """It has ended."""
        self._looks.pop(intent.id, None)
        self._broadcaster.forget(intent)

    async def check_superseded(self, intent: Intent, block: BlockRef) -> Intent | None:
        """The nonce is used, and by none of our hashes: the node may lag, so look more than once. The end, if it is."""
        looks = self._looks.get(intent.id, 0) + 1
        self._looks[intent.id] = looks
        if looks < LOOKS:
            return None
        message = f"nonce {intent.nonce} was used by a transaction that this keeper did not send"
        ended = await self._broadcaster.journal_call(self._journal.move, intent.id, IntentState.SUPERSEDED)
        self._emit(Event(TX_SUPERSEDED, message, block.number, identity(intent)))
        return ended

    async def repair_too_high(self, intent: Intent, keeper: bytes, block: BlockRef) -> None:
        """A nonce that nodes call too high: the same bytes again, then what is missing below it. Raises Transient."""
        if self._broadcaster.too_high[intent.id] < TRIES:
            intent = await self._broadcaster.rebroadcast(intent)
        if self._broadcaster.too_high[intent.id] < TRIES:
            return
        chain_nonce = await self._sender.nonce(keeper)
        below = [other for other in self._pending.open() if chain_nonce <= other.nonce < intent.nonce]
        if free := await self._free(chain_nonce):
            await self._fill(free, keeper, block)
        for other in below:
            await self._broadcaster.rebroadcast(other)
        if not free and not below:
            self._hold(f"nodes call nonce {intent.nonce} too high, though nothing is missing below it")
        await self._broadcaster.rebroadcast(intent)

    async def fill_gaps(self, keeper: bytes, block: BlockRef, chain_nonce: int) -> None:
        """A freed nonce that no plan took holds up all above it: fill it with a self-transfer."""
        free = await self._free(chain_nonce)
        self._gaps = {nonce: self._gaps.get(nonce, block.number) for nonce in free}
        if due := [nonce for nonce, since in self._gaps.items() if block.number - since >= GAP_BLOCKS]:
            await self._fill(due, keeper, block)

    async def _free(self, chain_nonce: int) -> list[int]:
        consumed = await self._broadcaster.journal_call(self._journal.consumed_nonce)
        return nonces.gaps(chain_nonce, consumed, self._pending.nonces())

    async def _fill(self, free: list[int], keeper: bytes, block: BlockRef) -> None:
        await self._broadcaster.launch([self._filler(keeper, block)] * len(free), free, block.number)

    def _filler(self, keeper: bytes, block: BlockRef) -> TxRequest:
        policy = self._policy
        max_fee = min(fee_until_deadline(block, policy.deadline_blocks, policy.priority_fee, policy), policy.max_fee)
        return TxRequest(
            account=keeper,
            kind=FILL,
            subject="",
            size=0,
            call=Call(keeper, b""),
            gas_limit=TRANSFER_GAS,
            fees=Fees(max_fee, min(policy.priority_fee, max_fee)),
            bid=policy.max_fee,
            value_wad=0,
            planned_block=block.number,
            deadline_block=block.number + policy.deadline_blocks,
        )
