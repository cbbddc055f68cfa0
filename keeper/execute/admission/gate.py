"""The gate before the send path: which plans may go out now, and why each of the others may not."""

import asyncio
from collections.abc import Collection, Mapping, Sequence

from keeper.chain.balances import token_balances
from keeper.errors import Transient
from keeper.execute.admission.backoff import Backoff
from keeper.execute.admission.conflicts import Balances, Reservations, tokens_of
from keeper.execute.admission.quarantine import Quarantine, is_assets, key_of
from keeper.execute.execution import rejected
from keeper.execute.tx.broadcaster import Broadcaster
from keeper.execute.tx.fees import call_fees, first_fees
from keeper.execute.tx.simulator import OUT_OF_GAS, UNFUNDED, Simulator
from keeper.model.chain import BlockRef
from keeper.model.events import ASSET_QUARANTINED, SIGNER_LIMITED, Event
from keeper.model.intent import APPROVE, FILL, Ended, Intent, IntentState
from keeper.model.plan import Plan, Policy, Rejected, Rejection
from keeper.protocols.base import Revert, RevertAction
from keeper.protocols.executor.batching import BATCH, members, packed

Admission = tuple[list[Plan], list[Rejected]]


class Gate:
    """Screens plans by what is in flight, cooling or quarantined and by funds, then simulates each on the new block.

    `holder`: whose tokens the plans spend.
    """

    def __init__(self, broadcaster: Broadcaster, simulator: Simulator, policy: Policy, holder: bytes) -> None:
        self._reader = simulator.reader
        self._simulator = simulator
        self._pending = broadcaster.pending
        self._signer = broadcaster.signer
        self._emit = broadcaster.emit
        self._policy = policy
        self._holder = holder
        self._quarantine = Quarantine()
        self._backoff = Backoff(max(policy.cooldown_blocks, 1))
        self._one_by_one = False

    @property
    def room(self) -> int:
        """How many more transactions may be in flight."""
        return max(self._most - len(self._pending.open()), 0)

    @property
    def _most(self) -> int:
        return 1 if self._one_by_one else self._policy.max_in_flight

    def limit_to_one(self, why: str) -> None:
        """Keep one transaction in flight at a time from now on. Emits the event once."""
        if not self._one_by_one:
            self._one_by_one = True
            message = f"sending one transaction at a time: {why}"
            self._emit(Event(SIGNER_LIMITED, message, None, {"reason": why}))

    def quarantined(self, block: int) -> Mapping[str, str]:
        """Kinds and assets in quarantine at a block, and why."""
        return self._quarantine.closed(block)

    async def balances(self, plans: Sequence[Plan], known: BlockRef) -> Balances:
        """What plans that were made at a block may draw on. Raises Transient when the chain does not answer."""
        native, tokens = await asyncio.gather(
            self._reader.balance(self._signer.address),
            token_balances(self._reader, known, self._holder, tokens_of(plans)),
        )
        return Balances(native, tokens)

    async def admit(self, plans: Sequence[Plan], balances: Balances, head: BlockRef, timestamp: int) -> Admission:
        """Plans that may go out on top of `head`, best first, and the others with the reason."""
        chosen, refused = self._screen(plans, head, balances)
        problems = await asyncio.gather(*(self._simulate(plan, head, timestamp) for plan in chosen))
        refused += [problem for problem in problems if problem]
        passed = [plan for plan, problem in zip(chosen, problems, strict=True) if problem is None]
        whys = self._signer.refusals([plan.call for plan in passed])
        refused += [rejected(plan, Rejection.LIMIT, why) for plan, why in zip(passed, whys, strict=True) if why]
        return [plan for plan, why in zip(passed, whys, strict=True) if not why], refused

    async def batched(self, plans: list[Plan], head: BlockRef, timestamp: int) -> list[Plan]:
        """Combine plans into batches by policy; one by one where a batch fails in simulation or is over a limit."""
        made = packed(plans, self._policy.max_batch, self._signer.max_gas)
        batches = [plan for plan in made if plan.opportunity.kind == BATCH]
        if any(self._signer.refusals([batch.call for batch in batches])):
            return plans
        problems = await asyncio.gather(*(self._simulate(batch, head, timestamp) for batch in batches))
        return plans if any(problems) else made

    def judge(self, ended: Sequence[Ended], block: int) -> None:
        """Learn from receipts: leave alone what reverted on chain, and assets that moved amounts not reported."""
        for one in ended:
            intent = one.intent
            if intent.kind in (APPROVE, FILL):
                continue
            for account in one.failed:
                self._back_off(intent, account, one.lost, block)
            if intent.state is IntentState.MINED:
                self._mined(intent, set(members(intent)).difference(one.failed), block)

    def _mined(self, intent: Intent, accounts: Collection[bytes], block: int) -> None:
        for account in accounts:
            self._backoff.succeeded(account)
        problem = intent.outcome.reason if intent.outcome else ""
        if intent.kind == BATCH:
            return
        if problem:
            self._blame(key_of(intent), intent.account, problem, block, sure=True)
        else:
            self._quarantine.succeeded(key_of(intent))

    def _back_off(self, intent: Intent, account: bytes, lost: bool, block: int) -> None:
        """Count a revert on chain against its account and its asset, a lost race and a batch's step not against it."""
        if until := self._backoff.failed(account, block, lost):
            self._pending.cool(account, until)
        if not lost and intent.kind != BATCH:
            reason = intent.outcome.reason if intent.outcome else ""
            self._blame(key_of(intent), account, f"reverted on chain: {reason}", block, on_chain=True)

    def _screen(self, plans: Sequence[Plan], head: BlockRef, balances: Balances) -> Admission:
        """Split the plans into those to simulate and those refused without a simulation."""
        taken = Reservations(self._pending.in_flight(), balances, self._most)
        chosen, refused = list[Plan](), list[Rejected]()
        probed = {key_of(intent) for intent in self._pending.open()}
        for plan in sorted(plans, key=self._suspicion):
            if problem := self._problem(plan, head) or self._unproved(plan, probed) or taken.conflict(plan):
                refused.append(problem)
            else:
                taken.take(plan)
                probed.add(key_of(plan.opportunity))
                chosen.append(plan)
        return chosen, refused

    def _suspicion(self, plan: Plan) -> int:
        return self._quarantine.suspicion(key_of(plan.opportunity), plan.account)

    def _unproved(self, plan: Plan, probed: Collection[str]) -> Rejected | None:
        """Of an asset that was quarantined one transaction at a time is tried, until one succeeds."""
        key = key_of(plan.opportunity)
        if key not in probed or not self._quarantine.probes(key):
            return None
        return rejected(plan, Rejection.HOLD, f"{key} was quarantined: another account is tried first")

    def _problem(self, plan: Plan, head: BlockRef) -> Rejected | None:
        """Why a plan is refused regardless of the other plans; None when it is not."""
        gas_limit = plan.opportunity.gas_limit
        if plan.planned_block < self._pending.last_block_for(plan.account):
            return rejected(
                plan, Rejection.IN_FLIGHT, "a transaction for this account was mined after this plan was made"
            )
        if self._pending.cools(plan.account, head.number):
            return rejected(
                plan, Rejection.COOLING_DOWN, "its last transaction failed less than KEEPER_COOLDOWN_BLOCKS blocks ago"
            )
        if gas_limit > self._signer.max_gas:
            return rejected(
                plan,
                Rejection.BLOCK_GAS,
                f"its gas limit of {gas_limit} is above the signing policy's {self._signer.max_gas}",
            )
        return None

    async def _simulate(self, plan: Plan, head: BlockRef, timestamp: int) -> Rejected | None:
        gas_limit, fees = plan.opportunity.gas_limit, call_fees(first_fees(plan, self._policy), head, self._policy)
        try:
            revert = await self._simulator.why_it_reverts(plan.call, gas_limit, head, timestamp, fees)
        except Transient as error:
            return rejected(plan, Rejection.HOLD, f"not simulated: {error}")
        if revert is UNFUNDED:
            why = f"the signer cannot pay for {gas_limit} gas at {fees.max_fee / 1e9:.3f} gwei"
            return rejected(plan, Rejection.INSUFFICIENT_FUNDS, why)
        if revert:
            return self._failed(plan, revert, head)
        self._quarantine.simulated(key_of(plan.opportunity))
        return None

    def _failed(self, plan: Plan, revert: Revert, head: BlockRef) -> Rejected:
        if revert.action is not RevertAction.RETRY:
            self._pending.cool(plan.account, head.number + self._policy.cooldown_blocks)
        if is_assets(revert):
            self._blame(key_of(plan.opportunity), plan.account, str(revert), head.number)
        why = f"out of gas at its limit of {plan.opportunity.gas_limit}" if revert is OUT_OF_GAS else str(revert)
        return rejected(plan, Rejection.SIMULATION_FAILED, why)

    def _blame(
        self, key: str, account: bytes, reason: str, number: int, *, sure: bool = False, on_chain: bool = False
    ) -> None:
        """Count a failure that may be the asset's fault; quarantine the asset when another account fails, too."""
        if until := self._quarantine.failed(key, account, reason, number, sure=sure, on_chain=on_chain):
            kind, _, asset = key.partition(" ")
            message = f'skipping "{kind}" liquidations of {asset} until block {until}: {reason}'
            fields = {"subject": key, "reason": reason, "until_block": until}
            self._emit(Event(ASSET_QUARANTINED, message, number, fields))
