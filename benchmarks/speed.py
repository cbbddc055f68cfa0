"""Speed: screening, exact health, signing, cold start, requests a block, and from a head to bytes on the wire."""

import asyncio
import time
from collections.abc import Callable

from benchmarks.figures import Figure, against, at_most, best_seconds, percentile
from benchmarks.market import Site, multiplied
from keeper.app.daemon import Daemon
from keeper.book.sync import BookSync, load_snapshot
from keeper.chain.connect import connect
from keeper.execute.signing.local import from_private_key
from keeper.execute.signing.signer import UnsignedTx
from keeper.model.events import HEAD_NEW, TX_MINED, TX_SENT, Event
from keeper.protocols.base import Protocol, Snapshot
from keeper.risk.screening import assess
from keeper.sim.keeper import capacity

EXACT = 2_000
SIGNATURES = 500
MAX_REQUESTS = 4


def take_snapshot(site: Site) -> Snapshot:
    """The market's book at its head."""

    async def work() -> Snapshot:
        async with await connect([site.arena.anvil.url], 31337, 10.0, lambda _: None) as chain:
            return await load_snapshot(chain.reader, site.protocol, 0)

    return asyncio.run(work())


def screening(protocol: Protocol, few: Snapshot, accounts: int) -> list[Figure]:
    """A whole assessment of many accounts, beside exact integers for each of them."""
    many = multiplied(few, protocol, accounts)
    timestamp = many.block.timestamp + 1
    rows = range(min(EXACT, accounts))
    exact_s = best_seconds(lambda: [protocol.health(many, row, timestamp) for row in rows], 3)
    exact = len(rows) / exact_s
    screen = accounts / best_seconds(lambda: protocol.screen(many, timestamp))
    assessed = assess(protocol, many, timestamp)
    whole = accounts / best_seconds(lambda: assess(protocol, many, timestamp), 3)
    size = f"{accounts:,} accounts"
    decided = f"{size}, {assessed.decided / accounts:.1%} decided in integers"
    return [
        against("accounts screened", screen, "accounts/s", exact, size),
        against("accounts assessed", whole, "accounts/s", exact, decided),
        Figure("exact health in integers", exact, "accounts/s"),
    ]


def signing() -> list[Figure]:
    """Transactions signed by a key in memory."""
    signer = from_private_key("0x" + "11" * 32)
    tx = UnsignedTx(1, 0, bytes(20), bytes(132), 500_000, 10**11, 10**9)

    async def work() -> None:
        for _ in range(SIGNATURES):
            await signer.sign(tx)

    return [Figure("transactions signed", SIGNATURES / best_seconds(lambda: asyncio.run(work()), 3), "1/s")]


def cold_start(site: Site) -> list[Figure]:
    """From nothing to a book at the head, connection included."""
    seconds = best_seconds(lambda: take_snapshot(site), 3)
    snapshot = take_snapshot(site)
    detail = f"{len(snapshot.columns)} accounts, {snapshot.block.number} blocks"
    return [Figure("cold start", seconds, "s", detail=detail)]


def requests(site: Site, blocks: int = 10) -> list[Figure]:
    """Requests that a block costs when nothing is unsafe: heads pushed, logs, one bulk read with the audit in it."""

    async def work() -> float:
        async with await connect([site.arena.anvil.ws_url], 31337, 10.0, lambda _: None) as chain:
            follower = BookSync(chain.reader, site.protocol, 0, lambda _: None, audit_accounts=8)
            await follower.advance(await chain.reader.head())
            heads = chain.heads()
            await asyncio.to_thread(site.arena.player.step, site.arena.player.quiet(0), False)
            await follower.advance(await anext(heads))
            before = chain.requests.total()
            for _ in range(blocks):
                await asyncio.to_thread(site.arena.player.step, site.arena.player.quiet(0), False)
                await follower.advance(await anext(heads))
            return (chain.requests.total() - before) / blocks

    label = f"requests a block, {len(site.arena.scenario.openings)} accounts"
    return [at_most(label, asyncio.run(work()), "requests", MAX_REQUESTS)]


def head_to_wire(site: Site) -> list[Figure]:
    """From the head's arrival to the node's answer to the first transaction, over the blocks of a crash."""
    found: list[float] = []
    sent: list[float] = []
    counted = 0

    def listen(event: Event) -> None:
        nonlocal counted
        now = time.perf_counter()
        if event.kind is TX_SENT:
            sent.append(now)
        elif event.kind is TX_MINED:
            counted += 1
        elif event.kind is HEAD_NEW and sent:
            # The turn ends now and took elapsed_ms: it began when the head arrived.
            found.append((sent[0] - now) * 1000 + float(event.fields["elapsed_ms"]))
            sent.clear()

    asyncio.run(_crash(site, listen))
    detail = f"{len(found)} blocks of a crash, {counted} liquidations"
    return [
        Figure("head to wire, median", percentile(found, 0.5), "ms", detail=detail),
        Figure("head to wire, 99th percentile", percentile(found, 0.99), "ms", detail=detail),
    ]


async def _crash(site: Site, listen: Callable[[Event], None]) -> None:
    """The live daemon through the price path, one block after the other."""
    stop = asyncio.Event()
    heard = asyncio.Event()

    def emit(event: Event) -> None:
        listen(event)
        if event.kind is HEAD_NEW:
            heard.set()

    task = asyncio.create_task(
        Daemon(site.arena.settings(site.arena.anvil.ws_url, live=True, **capacity(300)), emit).run(stop)
    )
    quiet = [site.arena.player.quiet(0) for _ in range(3)]
    for step in (*quiet, *site.arena.scenario.steps):
        heard.clear()
        await asyncio.to_thread(site.arena.player.step, step, False)
        waiting = asyncio.create_task(heard.wait())
        await asyncio.wait({waiting, task}, timeout=30, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        if task.done():
            break
    stop.set()
    await task
