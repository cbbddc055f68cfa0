"""What `keeper doctor` checks of the protocol: its contracts, its prices, and health equal to the contract's view."""

from keeper.abi import checksum
from keeper.app.session import open_session
from keeper.book.audit import audit_calls, mismatches
from keeper.book.sync import load_snapshot
from keeper.chain.connect import Chain
from keeper.cli.checks.check import Check, fail, ok, warn
from keeper.cli.checks.executor import check_executor
from keeper.cli.checks.signer import check_signer
from keeper.clock import iso
from keeper.errors import KeeperError, Transient
from keeper.model.health import WAD
from keeper.protocols.base import Deployment, Protocol, Snapshot
from keeper.protocols.permission import checks_calls
from keeper.settings import Settings

PARITY_PAGE = 500


async def check_market(settings: Settings, address: bytes | None) -> list[Check]:
    """The deployment, its prices, every account's parity, and what the signer can spend, as `keeper run` sees them."""
    try:
        session = await open_session(settings, lambda _: None)
    except KeeperError as error:
        return [fail("deployment", str(error))]
    try:
        found = await check_code(session.chain, session.deployment)
        found += check_calls(settings, session.protocol)
        snapshot = await load_snapshot(session.chain.reader, session.protocol, session.deployment.start_block)
        found += check_prices(session.protocol, snapshot)
        found.append(await check_parity(session.chain, session.protocol, snapshot))
        found += await check_executor(settings, session, snapshot, address)
        if address is None:
            found.append(
                warn("signer", "no signer is set", "a dry run needs none; for --live set KEEPER_KEYSTORE_FILE")
            )
        else:
            found += await check_signer(settings, session, snapshot, address)
    except Transient as error:
        found = [fail("deployment", str(error), "the node does not answer what `keeper run` asks at its start")]
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
                fail(
                    label,
                    f"{checksum(address)} has no code",
                    "check KEEPER_DEPLOYMENT: the address or the chain is wrong",
                )
            )
    return found


def check_calls(settings: Settings, protocol: Protocol) -> list[Check]:
    """Whether the adapter says which calls the key may sign; nothing to say of one that does."""
    if checks_calls(protocol):
        return []
    name, message = "calls", f"the plug-in {protocol.name} does not say which calls it may make"
    if settings.allow_unchecked_calls:
        message += ", and KEEPER_ALLOW_UNCHECKED_CALLS lets the key sign any call to its contracts"
        return [warn(name, message, "install a version with `permits`, and unset KEEPER_ALLOW_UNCHECKED_CALLS")]
    verdict = fail if settings.live else warn
    action = "a live run is refused: install a version with `permits`, or set KEEPER_ALLOW_UNCHECKED_CALLS=true"
    return [verdict(name, message, action)]


def check_prices(protocol: Protocol, snapshot: Snapshot) -> list[Check]:
    """Every feed gives a price that can be used at the snapshot's block."""
    found = []
    for price in protocol.prices(snapshot, snapshot.block.timestamp):
        label = f"price {price.label}"
        if price.problem:
            message = f"{price.problem}; feed {checksum(price.feed)}, updated {iso(price.updated_at)}"
            found.append(
                warn(label, message, "accounts that depend on this price are not liquidated until the feed works")
            )
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
            "parity", message, "do not run: the adapter does not know this deployment, or start_block is too late"
        )
    return ok("parity", f"{where} equal the contract's view to the wei")
