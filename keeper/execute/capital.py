"""Compares what signer and executor hold with the books: capital that leaves must have a booked reason."""

import asyncio
from collections import deque
from collections.abc import Collection, Iterable

from keeper.abi import checksum
from keeper.chain.balances import holdings
from keeper.chain.codec import fixed
from keeper.chain.errors import StateMissing
from keeper.chain.ports import ChainReader, ChainSender
from keeper.errors import Transient
from keeper.execute.tx.pending import PendingIntents
from keeper.model.capital import Capital, Missing, Place, booked, carried, shortfalls, unanswered
from keeper.model.chain import BlockRef, Call, Log, LogFilter, hexed
from keeper.model.events import CAPITAL_MISSING, CAPITAL_UNTRACED, Event
from keeper.model.intent import NATIVE, Intent
from keeper.protocols.base import Protocol, Snapshot
from keeper.protocols.executor.contract import FUNCTIONS
from keeper.protocols.executor.logs import MOVEMENTS, SWEPT, movements

SHORTEST_S, LONGEST_S = 0.5, 5.0  # after which a look is given up until the next block
_PART = 4  # of the time between two blocks, for a look
EVERY_BLOCKS = 25  # between two looks while nothing of ours is mined
_MOST_LATE = 4  # doublings
_KEPT = 8  # looks that a reorg may go back to
_ADDRESS = 20  # bytes
_TRIES = 3  # blocks in which a transaction of the signer is looked for


class CapitalWatch:
    """Knows what was held at the last look, and explains each later decrease.

    Explained are: outcomes in the journal, what the executor's own logs say of sweeps, and of sales and refuellings by
    the treasury or a command, and the cost of the signer's transactions that are not in the journal. Increases never
    count.
    """

    def __init__(
        self,
        reader: ChainReader,
        sender: ChainSender,
        protocol: Protocol,
        signer: bytes,
        executor: bytes,
        most_cost: int,
    ) -> None:
        """`most_cost`: wei that one transaction of the signer can cost."""
        self._most_cost = most_cost
        self.untraced = 0  # transactions that the last look took to have cost the most: no node has the state to tell
        self._reader = reader
        self._sender = sender
        self._protocol = protocol
        self._signer = signer
        self._executor = executor
        self._looks = deque[Capital](maxlen=_KEPT)
        self._ended: dict[int, Intent] = {}
        self._commands: Collection[bytes] = frozenset()
        self._due = True
        self._late = 0  # looks in a row that took too long
        self._unfound = 0  # how often in a row transactions of the signer were looked for

    @property
    def holder(self) -> bytes:
        """Whose tokens liquidations use."""
        return self._executor or self._signer

    def begin(self, last: Capital | None, settled: Iterable[Intent], commands: Collection[bytes] = ()) -> None:
        """Continue from what an earlier run saw last. `settled`: what has ended since; `commands`: their hashes.

        No command sends anything while the keeper runs.
        """
        self._commands = commands
        if last is not None:
            self._looks.append(last)
        self.note(settled)

    def note(self, ended: Iterable[Intent]) -> None:
        """Intents that ended: the next look is due."""
        for intent in ended:
            self._ended[intent.id] = intent
            self._due = True

    def is_due(self, block: BlockRef) -> bool:
        """Something of ours has ended since the last look, or it is long ago."""
        last = self._looks[-1].block_number if self._looks else 0
        return self._due or not last <= block.number < last + EVERY_BLOCKS

    def patience_s(self, block_s: float) -> float:
        """How long a look may take: a part of the time between blocks, twice as long after each that took too long."""
        return min(max(SHORTEST_S, block_s / _PART) * (1 << self._late), LONGEST_S)

    async def look_in_time(
        self, snapshot: Snapshot, pending: PendingIntents, block_s: float
    ) -> tuple[Capital, list[Missing]] | None:
        """As `look`; None as well where nodes do not answer in time: the next block waits for this one."""
        try:
            async with asyncio.timeout(self.patience_s(block_s)):
                return await self.look(snapshot, pending)
        except TimeoutError:
            self._late = min(self._late + 1, _MOST_LATE)
        except Transient:
            pass
        return None

    async def look(self, snapshot: Snapshot, pending: PendingIntents) -> tuple[Capital, list[Missing]] | None:
        """What is held at the snapshot's block, and what is missing there; None while something mined is not booked.

        Raises Transient where a node does not answer: the next block looks again.
        """
        block, self.untraced = snapshot.block, 0
        before = await self._before(block)
        tokens = self._tokens(snapshot, before)
        nonce = await self._reader.nonce(self._signer, block)
        if any(intent.nonce < nonce for intent in pending.open()):
            return None
        now = await self._read(block, nonce, tokens)
        missing = list[Missing]()
        if before is not None:
            now, missing = await self._compared(before, now, pending)
            if missing:  # once more: a node between two blocks may answer for another one
                now, missing = await self._compared(before, await self._read(block, nonce, tokens), pending)
            if missing and (await self._reader.block_by_number(block.number)).hash != block.hash:
                raise Transient(f"a reorg removed block {block} while balances were read")
        self._keep(now)
        return now, missing

    def _tokens(self, snapshot: Snapshot, before: Capital | None) -> set[bytes]:
        state = snapshot.state
        known = {token for _, token in before.units} if before else set()
        touched = {token for intent in self._ended.values() if intent.outcome for token in intent.outcome.profit}
        named = {*self._protocol.purse(state), *(token for token, _ in self._protocol.allowances(state))}
        return (known | touched | named) - {NATIVE}

    async def _before(self, block: BlockRef) -> Capital | None:
        """The last look at an earlier block that is still part of the chain."""
        while self._looks:
            last = self._looks[-1]
            if last.block_hash == block.hash:
                return last
            if last.block_number < block.number:
                known = await self._reader.block_by_number(last.block_number)
                if known.hash == last.block_hash:
                    return last
            self._looks.pop()
        return None

    async def _read(self, block: BlockRef, nonce: int, tokens: Collection[bytes]) -> Capital:
        owners = sorted({self._signer, self.holder})
        units, native = await asyncio.gather(
            holdings(self._reader, block, [(owner, token) for owner in owners for token in sorted(tokens)]),
            asyncio.gather(*(self._reader.balance(owner, block) for owner in owners)),
        )
        coins = {(owner, NATIVE): wei for owner, wei in zip(owners, native, strict=True)}
        return Capital(block.number, block.hash, nonce, {**units, **coins})

    async def _compared(self, before: Capital, now: Capital, pending: PendingIntents) -> tuple[Capital, list[Missing]]:
        """What is missing after everything that has a reason, and `now` with what is expected where nothing answered.

        Logs and transactions are read only when it is needed.
        """
        between = range(before.block_number + 1, now.block_number + 1)
        newest = {intent.id: intent for intent in (*self._ended.values(), *pending.settled())}
        ours = [
            intent
            for intent in (pending.newest(intent) for intent in newest.values())
            if intent.outcome and intent.outcome.block_number in between
        ]
        changes = booked(ours, self._signer, self.holder)
        if not unanswered(before, now) and not shortfalls(before, now, changes):
            return now, []
        hashes = {intent.outcome.tx_hash for intent in ours if intent.outcome}
        for place, units in (await self._moved(between, hashes)).items():
            changes[place] = changes.get(place, 0) + units
        unknown = set(range(before.nonce, now.nonce)) - {intent.nonce for intent in ours}
        if unknown:
            place = self._signer, NATIVE
            changes[place] = changes.get(place, 0) - await self._cost(before, now, unknown)
        return carried(before, now, changes), shortfalls(before, now, changes)

    async def _moved(self, between: range, ours: Collection[bytes]) -> dict[Place, int]:
        """What the executor's own logs say, of transactions that are not ours: ours are booked."""
        if not self._executor:
            return {}
        wanted = LogFilter((self._executor,), tuple(MOVEMENTS))
        logs = list[Log]()
        async for page in self._reader.logs_between(between.start, between.stop - 1, wanted):
            logs += [log for log in page if log.tx_hash not in ours]
        if not logs:
            return {}
        wrapped, treasury = await self._tied("wrapped", "treasury")
        changes = movements(self._executor, await self._wanted(logs, treasury), wrapped)
        return {(self._executor, token): units for token, units in changes.items()}

    async def _wanted(self, logs: Iterable[Log], treasury: bytes) -> list[Log]:
        """Sweeps, and what the treasury or a command did: a thief with the signer's key can sell and refuel, too."""
        senders = dict[bytes, bytes]()
        wanted = []
        for log in logs:
            tx_hash = log.tx_hash
            if log.topics[0] != SWEPT and tx_hash not in self._commands:
                if tx_hash not in senders:
                    senders[tx_hash] = await self._sender_of(tx_hash)
                if senders[tx_hash] == self._signer or senders[tx_hash] != treasury:
                    continue
            wanted.append(log)
        return wanted

    async def _sender_of(self, tx_hash: bytes) -> bytes:
        found = await self._sender.transaction(tx_hash)
        if found is None:
            raise Transient(f"no node knows transaction {hexed(tx_hash)}")
        return fixed(str(found["from"]), _ADDRESS)

    async def _tied(self, *names: str) -> list[bytes]:
        """Addresses that the executor names; 20 zero bytes where it names none."""
        calls = [Call(self._executor, FUNCTIONS[name].encode()) for name in names]
        results = await self._reader.read(await self._reader.head(), calls)
        return [result.data[-_ADDRESS:] if result.ok and len(result.data) >= _ADDRESS else NATIVE for result in results]

    async def _cost(self, before: Capital, now: Capital, nonces: Collection[int]) -> int:
        """Wei that the signer's transactions with these nonces cost, which the journal does not know.

        Where they could not be found several times: the most that they can have cost if no node has the state of
        earlier blocks, else nothing, as capital may have left with them.
        """
        self._unfound += 1
        try:
            hashes = await self._reader.sent_by(self._signer, nonces, before.block_number, now.block_number)
        except Transient as error:
            if self._unfound < _TRIES:
                raise
            self.untraced = len(nonces) if isinstance(error, StateMissing) else 0
            return self.untraced * self._most_cost
        paid = 0
        for tx_hash in hashes:
            receipt = await self._sender.receipt(tx_hash)
            if receipt is None:
                raise Transient(f"no receipt of transaction 0x{tx_hash.hex()}")
            paid += receipt.gas_used * receipt.effective_gas_price + receipt.data_fee
        return paid

    def _keep(self, now: Capital) -> None:
        self._looks.append(now)
        oldest = self._looks[0].block_number
        self._ended = {
            intent.id: intent
            for intent in self._ended.values()
            if intent.outcome and intent.outcome.block_number > oldest
        }
        self._due = False
        self._unfound = self._late = 0


def capital_untraced(transactions: int, block: BlockRef) -> Event:
    """The event of transactions whose cost no node can tell."""
    text = f"cannot find {transactions} transactions of the signer: no node has the state of earlier blocks"
    return Event(CAPITAL_UNTRACED, text, block.number, {"transactions": transactions})


def described_missing(missing: Missing) -> str:
    """What a message says of missing capital."""
    holder, token = missing.place
    what = "wei of the native coin" if token == NATIVE else f"units of token {checksum(token)}"
    lacking = missing.expected - missing.found
    return f"{checksum(holder)} lacks {lacking} {what} (expected {missing.expected}, found {missing.found})"


def capital_missing(missing: Missing, block: BlockRef) -> Event:
    """The event of capital that left without a booked reason. Amounts are in units of the token."""
    holder, token = missing.place
    fields = {
        "holder": checksum(holder),
        "token": "native" if token == NATIVE else checksum(token),
        "expected": str(missing.expected),
        "found": str(missing.found),
        "missing": str(missing.expected - missing.found),
    }
    return Event(CAPITAL_MISSING, f"capital is missing: {described_missing(missing)}", block.number, fields)
