"""What `keeper doctor` checks of the executor contract: its owner, its Uniswap factory, and what it holds."""

from keeper.abi import checksum
from keeper.app.session import Session
from keeper.chain.balances import token_balances
from keeper.chain.connect import Chain
from keeper.cli.checks.check import Check, fail, ok, warn
from keeper.cli.executor.contract import read_ties
from keeper.protocols.base import Snapshot
from keeper.protocols.executor import Ties
from keeper.settings import Settings

_DEPLOY = "run `keeper executor deploy --factory ADDRESS --live`"


async def check_executor(settings: Settings, session: Session, snapshot: Snapshot, signer: bytes | None) -> list[Check]:
    """Owner, factory and capital; nothing where the protocol needs no executor."""
    if not session.protocol.needs_executor:
        return []
    address = session.deployment.executor
    if not address:
        verdict = fail if settings.live else warn
        return [
            verdict(
                "executor",
                f"{session.protocol.name} needs an executor contract; the deployment file names none",
                _DEPLOY,
            )
        ]
    ties = await read_ties(session.chain, address, snapshot.block)
    if ties is None:
        return [fail("executor", f"{checksum(address)} is not an executor contract", "check KEEPER_DEPLOYMENT")]
    found = [_owner(ties, signer), await _factory(session.chain, ties)]
    return found + await _capital(session, snapshot, address)


def _owner(ties: Ties, signer: bytes | None) -> Check:
    name = "executor: owner"
    if signer is None:
        return ok(name, f"{checksum(ties.owner)}; no signer is set to compare with")
    if ties.owner != signer:
        message = f"its owner is {checksum(ties.owner)}; the signer is {checksum(signer)}"
        return fail(name, message, f"set the signer that owns it, or remove it from KEEPER_DEPLOYMENT and {_DEPLOY}")
    return ok(name, f"its owner is the signer, {checksum(signer)}")


async def _factory(chain: Chain, ties: Ties) -> Check:
    name = "executor: factory"
    if not await chain.reader.code(ties.factory):
        message = f"{checksum(ties.factory)} has no code, so collateral cannot be sold"
        return fail(name, message, f"sweep the executor, remove it from KEEPER_DEPLOYMENT, and {_DEPLOY}")
    return ok(name, f"it trades with the pools of {checksum(ties.factory)}")


async def _capital(session: Session, snapshot: Snapshot, address: bytes) -> list[Check]:
    """What it holds of the tokens that liquidations spend. With flash loans it may hold nothing."""
    symbols = session.protocol.token_symbols(snapshot.state)
    tokens = session.protocol.purse(snapshot.state)
    balances = await token_balances(session.chain.reader, snapshot.block, address, tokens)
    named = {token: symbols.get(token, (checksum(token), 0)) for token in tokens}
    held = [
        ok(f"executor: {named[token][0]}", f"{amount / 10 ** named[token][1]:,.2f} {named[token][0]}")
        for token, amount in balances.items()
        if amount
    ]
    if held:
        return held
    wanted = ", ".join(sorted(symbol for symbol, _ in named.values()))
    action = f"send some to {checksum(address)}, not to the signer; only flash loans need none"
    return [warn("executor: capital", f"it holds none of {wanted}", action)]
