"""The checks of `keeper doctor`: each says what is so, and what to do when it should not be."""

from keeper.abi import checksum
from keeper.app.policies import native_price_of, policy_of
from keeper.app.session import Session, open_session
from keeper.book.audit import audit_calls, mismatches
from keeper.book.sync import load_snapshot
from keeper.chain.balances import token_balances
from keeper.chain.connect import Chain, connect
from keeper.cli.check import Check, fail, ok, warn
from keeper.clock import SystemClock, iso
from keeper.errors import KeeperError, OperatorError, Transient
from keeper.model.chain import BlockRef, Call, LogFilter
from keeper.model.events import ALERT_TEST, Event
from keeper.model.fees import fee_for_deadline, next_base_fee
from keeper.model.health import WAD
from keeper.protocols.base import Deployment, Protocol, Snapshot
from keeper.settings import DEVELOPMENT_CHAINS, Settings

OLD_HEAD_S = 60
DEAD_HEAD_S = 600
SKEW_S = 15
DEPTHS = (16, 128, 1_024, 10_000, 100_000, 1_000_000)
PARITY_PAGE = 500
LIQUIDATIONS = 10  # that the balance should pay for
TYPICAL_GAS = 500_000
NEVER_REACHED = 2**64 - 2  # EIP-2681: the last nonce


# ---- endpoints


async def check_endpoint(settings: Settings, url: str, label: str, deployment: Deployment, now: float) -> list[Check]:
    """What one endpoint can do: each is asked alone, so that a good one does not hide a bad one."""
    try:
        chain = await connect([url], settings.chain_id, settings.request_timeout_s, lambda _: None)
    except KeeperError as error:
        return [fail(f"{label}: answers", str(error), "check KEEPER_RPC_URLS and KEEPER_CHAIN_ID, and the node")]
    try:
        head = await chain.reader.head()
        found = [ok(f"{label}: answers", f"chain {settings.chain_id}, block {head.number}")]
        found.append(_head_age(label, head, now, settings.chain_id))
        found.append(await _pinned_reads(label, chain, head, deployment))
        found.append(await _logs(label, chain, head, deployment))
        found.append(await _depth(label, chain, head, deployment))
    except Transient as error:
        found = [fail(f"{label}: answers", str(error), "check the node, or take it out of KEEPER_RPC_URLS")]
    finally:
        await chain.close()
    return found


def _head_age(label: str, head: BlockRef, now: float, chain_id: int) -> Check:
    name = f"{label}: head and clock"
    age = now - head.timestamp
    if chain_id in DEVELOPMENT_CHAINS:
        return ok(name, "a development chain keeps its own time")
    if age < -SKEW_S:
        return warn(name, f"the newest block is {-age:.0f} s ahead of this machine's clock", "synchronise the clock")
    if age > DEAD_HEAD_S:
        return fail(name, f"the newest block is {age:.0f} s old", "the node has stopped following its chain")
    if age > OLD_HEAD_S:
        return warn(name, f"the newest block is {age:.0f} s old", "a node that is behind misses liquidations")
    return ok(name, f"the newest block is {max(age, 0):.0f} s old")


async def _pinned_reads(label: str, chain: Chain, head: BlockRef, deployment: Deployment) -> Check:
    name = f"{label}: reads pinned to a block hash"
    try:
        await chain.reader.read(head, [Call(address, b"") for address in deployment.contracts.values()])
    except Transient as error:
        return fail(name, str(error), "the node must take eth_call by block hash with a state override")
    return ok(name, "eth_call by block hash with a state override works")


async def _logs(label: str, chain: Chain, head: BlockRef, deployment: Deployment) -> Check:
    name = f"{label}: logs by block hash"
    try:
        await chain.reader.logs_at(head, LogFilter(tuple(deployment.contracts.values())))
    except Transient as error:
        return fail(name, str(error), "the node must serve eth_getLogs with blockHash")
    return ok(name, "eth_getLogs by block hash works")


async def _depth(label: str, chain: Chain, head: BlockRef, deployment: Deployment) -> Check:
    """How far back state can be read: reorgs and `scan --block` need some of it."""
    name = f"{label}: depth of state"
    calls = [Call(next(iter(deployment.contracts.values())), b"")]
    deepest = 0
    for depth in (depth for depth in DEPTHS if depth <= head.number):
        try:
            await chain.reader.read(await chain.reader.block_by_number(head.number - depth), calls)
        except Transient:
            break
        deepest = depth
    if deepest == 0 and head.number >= DEPTHS[0]:
        return warn(name, f"no state {DEPTHS[0]} blocks back", "use a node that keeps at least the state of 128 blocks")
    return ok(name, f"state is there {deepest} blocks back")


# ---- the protocol


async def check_market(settings: Settings, address: bytes | None) -> list[Check]:
    """The deployment, its prices, every account's parity, and the signer's means, as the daemon would see them."""
    from keeper.cli.executor_checks import check_executor

    try:
        session = await open_session(settings, lambda _: None)
    except KeeperError as error:
        return [fail("deployment", str(error))]
    try:
        found = await check_code(session.chain, session.deployment)
        snapshot = await load_snapshot(session.chain.reader, session.protocol, session.deployment.start_block)
        found += check_prices(session.protocol, snapshot)
        found.append(await check_parity(session.chain, session.protocol, snapshot))
        found += await check_executor(settings, session, snapshot, address)
        if address is None:
            found.append(warn("signer", "none is set", "a dry run needs none; --live does: KEEPER_KEYSTORE_FILE"))
        else:
            found += await check_signer(settings, session, snapshot, address)
    except Transient as error:
        found = [fail("deployment", str(error), "the node does not serve what a start needs")]
    finally:
        await session.chain.close()
    return found


async def check_code(chain: Chain, deployment: Deployment) -> list[Check]:
    """Every address of the deployment file holds a contract."""
    found = []
    for name, address in deployment.contracts.items():
        code = await chain.reader.code(address)
        label = f"contract {name}"
        if code:
            found.append(ok(label, f"{checksum(address)}, {len(code)} bytes of code"))
        else:
            found.append(
                fail(label, f"{checksum(address)} has no code", "check KEEPER_DEPLOYMENT: wrong address or chain")
            )
    return found


def check_prices(protocol: Protocol, snapshot: Snapshot) -> list[Check]:
    """Every feed gives a price that can be used at the snapshot's block."""
    found = []
    for price in protocol.prices(snapshot, snapshot.block.timestamp):
        label = f"price {price.label}"
        if price.problem:
            message = f"{price.problem}; feed {checksum(price.feed)}, updated {iso(price.updated_at)}"
            found.append(warn(label, message, "accounts that depend on it are left alone until the feed is mended"))
        else:
            found.append(ok(label, f"{price.price_wad / WAD:,.4f}, updated {iso(price.updated_at)}"))
    return found


async def check_parity(chain: Chain, protocol: Protocol, snapshot: Snapshot) -> Check:
    """Local health equals the contract's own view, to the wei, for every account at one block."""
    rows = range(len(snapshot.columns))
    differences: list[str] = []
    for start in range(0, len(rows), PARITY_PAGE):
        page = rows[start : start + PARITY_PAGE]
        results = await chain.reader.read(snapshot.block, audit_calls(protocol, snapshot, page))
        found = mismatches(protocol, snapshot, page, results)
        differences += [f"{checksum(mismatch.account)}: {mismatch.difference}" for mismatch in found]
    where = f"{len(rows)} accounts at block {snapshot.block.number}"
    if differences:
        message = f"{len(differences)} of {where} differ from the contract, first {differences[0]}"
        return fail(
            "parity", message, "do not run: the deployment is not what this adapter knows, or start_block is late"
        )
    return ok("parity", f"{where} equal the contract's own view to the wei")


# ---- the signer


async def check_signer(settings: Settings, session: Session, snapshot: Snapshot, address: bytes) -> list[Check]:
    """The signer is a plain account that can pay for some liquidations, and may spend what they need."""
    reader, block = session.chain.reader, snapshot.block
    found = []
    if await reader.code(address):
        found.append(
            fail(
                "signer: plain account", f"{checksum(address)} has code", "a delegated account may not send in parallel"
            )
        )
    else:
        found.append(ok("signer: plain account", checksum(address)))
    found.append(_balance(settings, session.protocol, snapshot, await reader.balance(address, block)))
    found += await _tokens(session, snapshot, address)
    return found


def _balance(settings: Settings, protocol: Protocol, snapshot: Snapshot, balance: int) -> Check:
    policy = policy_of(settings)
    block = snapshot.block
    base = next_base_fee(
        block.base_fee, block.gas_used, block.gas_limit, policy.base_fee_denominator, policy.base_fee_elasticity
    )
    fee = fee_for_deadline(
        base, policy.priority_fee, policy.deadline_blocks, policy.base_fee_denominator, policy.base_fee_elasticity
    )
    fee = min(fee, policy.max_fee)
    needed = LIQUIDATIONS * TYPICAL_GAS * fee
    message = f"{balance / 1e18:.6f} of the native coin; {LIQUIDATIONS} liquidations may take {needed / 1e18:.6f} now"
    try:
        price = native_price_of(settings).at(protocol, snapshot, block.timestamp)
        message += f", at {price / WAD:,.2f} dollars a coin"
    except OperatorError as error:
        return fail("signer: balance", f"{message}; {error}", "the keeper cannot value gas")
    if balance < needed:
        return (
            fail("signer: balance", message, "send funds to the signer")
            if balance == 0
            else warn("signer: balance", message, "send funds to the signer")
        )
    return ok("signer: balance", message)


async def _tokens(session: Session, snapshot: Snapshot, address: bytes) -> list[Check]:
    """Balances of what seizures spend, and allowances, which a live keeper grants itself."""
    from keeper.execute.admission.approvals import missing

    pairs = session.protocol.allowances(snapshot.state)
    symbols = session.protocol.token_symbols(snapshot.state)
    balances = await token_balances(
        session.chain.reader, snapshot.block, address, sorted({token for token, _ in pairs})
    )
    lacking = {token for token, _ in await missing(session.chain.reader, snapshot.block, address, pairs)}
    found = []
    for token, amount in balances.items():
        symbol, decimals = symbols.get(token, (checksum(token), 0))
        name = f"signer: {symbol}"
        held = f"{amount / 10**decimals:,.2f} {symbol}"
        if amount == 0:
            found.append(warn(name, f"{held}, which some liquidations spend", f"send {symbol} to the signer"))
        elif token in lacking:
            found.append(ok(name, f"{held}; the allowance is missing, a live keeper grants it first"))
        else:
            found.append(ok(name, f"{held}, allowance granted"))
    return found


async def check_signing(settings: Settings) -> Check:
    """The signer signs, and for its own address: a self-transfer at a nonce that is never reached, which stays here."""
    from keeper.app.signers import signer_of
    from keeper.execute.signing.policy import SigningPolicy
    from keeper.execute.signing.policy_signer import PolicySigner
    from keeper.execute.signing.signer import UnsignedTx

    signer = signer_of(settings)
    policy = SigningPolicy(settings.chain_id, signer.address, frozenset(), max_fee=1)
    desk = PolicySigner(signer, policy, settings.signer_timeout_s)
    try:
        await signer.open()
        await desk.sign(UnsignedTx(settings.chain_id, NEVER_REACHED, signer.address, b"", 21_000, 1, 0))
    except KeeperError as error:
        return fail("signer: signs", str(error), "check the signer, and that it may sign for this key")
    finally:
        await desk.close()
    return ok("signer: signs", f"what it signs recovers to {checksum(signer.address)}")


def check_journal(settings: Settings, address: bytes | None) -> Check:
    """The journal can be written, and nobody else writes it."""
    from keeper.execute.journal.journal import open_journal
    from keeper.execute.leadership.right import HELD

    try:
        settings.data_dir.mkdir(parents=True, exist_ok=True)
        url = settings.database_url.get_secret_value()
        open_journal(url, settings.data_dir, address or bytes(20), settings.chain_id).close()
    except OSError as error:
        message = f"{settings.data_dir} cannot be made or written: {error.strerror}"
        return fail("journal", message, "check KEEPER_DATA_DIR and its owner")
    except OperatorError as error:
        if settings.standby and error.exit_code == HELD:
            return ok("journal", f"{error}: this keeper would stand by")
        return fail("journal", str(error), "stop the other keeper, or check KEEPER_DATABASE_URL")
    kind = "in PostgreSQL" if url.startswith("postgresql") else f"in {settings.data_dir}"
    return ok("journal", f"can be written and is free, {kind}")


# ---- alerts


async def check_webhooks(settings: Settings, send: bool) -> list[Check]:
    """Every webhook takes a test alert, when one may be sent."""
    import httpx

    from keeper.observe.alerts import body_for
    from keeper.observe.redact import redact_url

    urls = [url.get_secret_value() for url in settings.alert_urls]
    if not urls:
        return [warn("webhooks", "none is set", "set KEEPER_ALERT_URLS, or watch KEEPER_LOG_JSON")]
    if not send:
        return [ok("webhooks", f"{len(urls)} set, not asked: --send-test-alert sends one to each")]
    event = Event(ALERT_TEST, "a test, asked for by `keeper doctor`")
    found = []
    async with httpx.AsyncClient(timeout=settings.request_timeout_s) as client:
        for url in urls:
            name = f"webhook {redact_url(url)}"
            try:
                response = await client.post(url, json=body_for(url, event, SystemClock().now(), 0))
            except (httpx.HTTPError, httpx.InvalidURL) as error:
                found.append(fail(name, f"not reached: {type(error).__name__}", "check KEEPER_ALERT_URLS"))
                continue
            taken = not response.is_error
            message = f"HTTP {response.status_code}"
            found.append(ok(name, message) if taken else fail(name, message, "check KEEPER_ALERT_URLS"))
    return found
