"""Sends a transaction to public nodes, or to relays first. Decided once for each plan and recorded in the journal."""

from dataclasses import dataclass

from keeper.chain.ports import ChainSender, PrivateSender
from keeper.chain.replies import NOT_SENT
from keeper.model.intent import Attempt, Intent, Route, SendResult, SendStatus
from keeper.model.plan import Plan


@dataclass(frozen=True, slots=True)
class RelayPolicy:
    """Private sending: to relays for `blocks` blocks, then to public nodes or cancelled.

    `least_wad`: plans worth less (dollars, 1e18) go to public nodes at once.
    """

    route: Route
    blocks: int
    then_public: bool
    least_wad: int = 0


class Router:
    """Sends each attempt by its route. Without relays everything is public.

    A private transaction is invisible to public nodes: while one is out, only the journal says that its nonce is taken.
    """

    def __init__(
        self, sender: ChainSender, relays: PrivateSender | None = None, policy: RelayPolicy | None = None
    ) -> None:
        self.sender = sender
        self._relays = relays
        self._policy = policy

    def route_of(self, plan: Plan) -> Route:
        """The route of a new plan."""
        if self._relays is None or self._policy is None or plan.value_wad < self._policy.least_wad:
            return Route.PUBLIC
        return self._policy.route

    async def send(self, attempt: Attempt, head: int) -> SendResult:
        """Hand over one attempt, once. `head`: number of the newest block. Does not raise."""
        if attempt.route is Route.PUBLIC:
            return await self.sender.send_raw(attempt.raw)
        if self._relays is None:
            return SendResult(
                SendStatus.UNKNOWN, NOT_SENT, "not sent: it is private and KEEPER_RELAY_URLS names no relay"
            )
        newest = max(head, attempt.signed_block)
        return await self._relays.send_private(attempt.raw, attempt.route, newest, self._until(attempt))

    async def cancel_private(self, intent: Intent) -> None:
        """Ask the relays to drop the transaction. They may not, so it may still be mined."""
        for attempt in intent.attempts:
            if attempt.route is not Route.PUBLIC and self._relays is not None:
                await self._relays.cancel_private(attempt.raw, attempt.route)

    def gave_up(self, intent: Intent, block: int) -> bool:
        """Whether the relays did not get it mined within their blocks."""
        return block >= self._until(intent.attempts[0])

    @property
    def then_public(self) -> bool:
        """What follows when the relays had their blocks: the public nodes, or a cancellation.

        Where there are no relays any more, what an earlier run sent through them follows as it would have.
        """
        return self._policy is None or self._policy.then_public

    def _until(self, attempt: Attempt) -> int:
        return attempt.signed_block + (self._policy.blocks if self._policy else 0)

    async def close(self) -> None:
        if self._relays is not None:
            await self._relays.close()


def is_private(intent: Intent) -> bool:
    """Whether its newest bytes were only shown to relays."""
    return bool(intent.attempts) and intent.attempts[-1].route is not Route.PUBLIC
