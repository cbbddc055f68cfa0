"""Repairs nonces: fills gaps, resends below one that is refused as too high, gives up one that others used."""

from collections.abc import Callable

from keeper.execute.tx import nonces
from keeper.execute.tx.broadcaster import Broadcaster, described, identity
from keeper.execute.tx.requests import urgent_request
from keeper.model.chain import BlockRef, Call
from keeper.model.events import TX_SUPERSEDED, Event
from keeper.model.intent import FILL, Intent, IntentState
from keeper.model.plan import Policy

GAP_BLOCKS = 2  # how long a free nonce below others may stay free
LOOKS = 3  # how often none of our hashes may be found mined before a used nonce counts as someone else's
TRIES = 3  # how often a nonce may be called too high before it is looked into


class NonceRepair:
    """What a block asks for the signer's nonces. `hold`: nothing new is sent until a person has looked."""

    def __init__(self, broadcaster: Broadcaster, policy: Policy, hold: Callable[[str], None]) -> None:
        self._broadcaster = broadcaster
        self._journal = broadcaster.journal
        self._sender = broadcaster.router.sender
        self._pending = broadcaster.pending
        self._policy = policy
        self._keeper = broadcaster.signer.address
        self._hold = hold
        self._gaps: dict[int, int] = {}  # nonce -> block in which it was first seen free

    async def check_superseded(self, intent: Intent, block: BlockRef) -> Intent | None:
        """No hash of this intent used the nonce: the ended intent after LOOKS blocks, as a node may lag; else None."""
        state = self._pending.state(intent)
        state.looks += 1
        if state.looks < LOOKS:
            return None
        message = f"tx superseded: {described(intent)}: a transaction that this keeper did not send used the nonce"
        ended = await self._broadcaster.journal_call(self._journal.move, intent.id, IntentState.SUPERSEDED)
        self._broadcaster.emit(Event(TX_SUPERSEDED, message, block.number, identity(intent)))
        return ended

    async def repair_too_high(self, intent: Intent, block: BlockRef) -> None:
        """Nodes call the nonce too high: send again, then resend or fill the nonces below it. Raises Transient."""
        state = self._pending.state(intent)
        if state.too_high < TRIES:
            intent = await self._broadcaster.rebroadcast(intent, block.number)
        if state.too_high < TRIES:
            return
        chain_nonce = await self._sender.nonce(self._keeper)
        below = [other for other in self._pending.followed() if chain_nonce <= other.nonce < intent.nonce]
        if free := self._free(chain_nonce):
            await self._fill(free, block)
        for other in below:
            await self._broadcaster.rebroadcast(other, block.number)
        if not free and not below:
            self._hold(f"nodes refuse nonce {intent.nonce} as too high, but no lower nonce is missing")
        await self._broadcaster.rebroadcast(intent, block.number)

    async def fill_gaps(self, block: BlockRef, chain_nonce: int) -> None:
        """Fill a free nonce with a self-transfer: until it is used, no higher nonce can be mined."""
        free = self._free(chain_nonce)
        self._gaps = {nonce: self._gaps.get(nonce, block.number) for nonce in free}
        if due := [nonce for nonce, since in self._gaps.items() if block.number - since >= GAP_BLOCKS]:
            await self._fill(due, block)

    def _free(self, chain_nonce: int) -> list[int]:
        return nonces.gaps(chain_nonce, self._pending.consumed, self._pending.nonces())

    async def _fill(self, free: list[int], block: BlockRef) -> None:
        if self._pending.any_altered:
            return  # a row that was altered may hold the nonce: a person has to look first
        gas_limit = self._broadcaster.transfer_gas
        filler = urgent_request(FILL, self._keeper, Call(self._keeper, b""), gas_limit, block, self._policy)
        await self._broadcaster.launch([filler] * len(free), free, block.number)
