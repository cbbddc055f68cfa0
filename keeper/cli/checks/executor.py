"""What `keeper doctor` checks of the executor contract: code, roles, wiring, limits, and what it holds."""

from eth_utils.crypto import keccak

from keeper.abi import checksum
from keeper.app.roles import own_treasury
from keeper.app.session import Session
from keeper.chain.balances import token_balances
from keeper.chain.connect import Chain
from keeper.cli.checks.check import Check, fail, ok, warn
from keeper.cli.executor.contract import Limits, read_limits, read_ties
from keeper.cli.output import units
from keeper.protocols.base import Snapshot
from keeper.protocols.executor import Ties, is_ours
from keeper.settings import Settings

_DEPLOY = "run `keeper executor deploy --factory ADDRESS --treasury ADDRESS --live`"


async def check_executor(settings: Settings, session: Session, snapshot: Snapshot, signer: bytes | None) -> list[Check]:
    """Code, roles, factory, limits and capital; nothing where the protocol needs no executor."""
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
    found = [await _code(session.chain, address), *_roles(ties, signer, own_treasury(settings))]
    found.append(await _factory(session, ties))
    limits = await read_limits(session.chain, address, snapshot.block, session.protocol.purse(snapshot.state))
    found.append(_gas(limits))
    return found + await _capital(session, snapshot, address, limits)


def _roles(ties: Ties, signer: bytes | None, wanted: bytes | None) -> list[Check]:
    return [_operator(ties, signer), _treasury(ties, signer, wanted)]


def _operator(ties: Ties, signer: bytes | None) -> Check:
    name, operator = "executor: operator", checksum(ties.operator)
    if signer is None:
        return ok(name, f"{operator}; no signer is set to compare with")
    if ties.operator != signer:
        message = f"its operator is {operator}; the signer is {checksum(signer)}"
        action = f"use that signer, or let the treasury sign `keeper executor treasury set-operator {checksum(signer)}`"
        return fail(name, message, action)
    return ok(name, f"its operator is the signer, {operator}")


def _treasury(ties: Ties, signer: bytes | None, wanted: bytes | None) -> Check:
    name, treasury = "executor: treasury", checksum(ties.treasury)
    if wanted is not None and ties.treasury != wanted:
        message = f"its capital belongs to {treasury}; KEEPER_TREASURY is {checksum(wanted)}"
        action = "do not fund it: correct KEEPER_DEPLOYMENT, or KEEPER_TREASURY if your treasury passed its role on"
        return fail(name, message, action)
    if ties.treasury == signer:
        message = f"the signer, {treasury}, is the treasury: a stolen key takes the capital"
        return fail(name, message, "use the operator's key here, and keep the treasury's elsewhere")
    compared = "as KEEPER_TREASURY says" if wanted is not None else "KEEPER_TREASURY is not set to compare with"
    return ok(name, f"its capital belongs to {treasury}; {compared}")


async def _code(chain: Chain, address: bytes) -> Check:
    code = await chain.reader.code(address)
    name, digest = "executor: code", keccak(code).hex()[:16]
    if not is_ours(code):
        message = f"{checksum(address)} has other code ({len(code)} bytes, hash {digest}...) than this keeper ships"
        return fail(name, message, f"do not fund it: remove it from KEEPER_DEPLOYMENT and {_DEPLOY}")
    return ok(name, f"the contract that this keeper ships, hash {digest}...")


def _gas(limits: Limits) -> Check:
    if not limits.gas_bound:
        return ok("executor: gas bound", "no coins may be taken for gas: send them to the signer")
    left, bound = (units(wei, 18) for wei in (limits.gas_left, limits.gas_bound))
    return ok("executor: gas bound", f"{bound} coins a day, {left} left today")


def _holding(token: bytes, amount: int, named: tuple[str, int], limits: Limits) -> Check:
    symbol, decimals = named
    floor = units(limits.floors[token], decimals)
    message = f"{amount / 10**decimals:,.2f} {symbol}, least profit {floor} {symbol}"
    if token in limits.held:
        return ok(f"executor: {symbol}", message)
    action = (
        f"let the treasury sign `keeper executor treasury set-held {symbol} yes`: a stolen operator key could sell it"
    )
    return warn(f"executor: {symbol}", f"{message}; not on the held list", action)


async def _factory(session: Session, ties: Ties) -> Check:
    """Compared with the factory of the protocol's own pools where the adapter has one (`pool_factory`)."""
    name = "executor: factory"
    own: bytes = getattr(session.protocol, "pool_factory", b"")
    if not await session.chain.reader.code(ties.factory):
        message = f"Uniswap factory {checksum(ties.factory)} has no code, so collateral cannot be sold"
        return fail(name, message, f"sweep the executor, remove it from KEEPER_DEPLOYMENT, and {_DEPLOY}")
    if own and ties.factory != own:
        message = f"it trades with the pools of {checksum(ties.factory)}; the protocol's are of {checksum(own)}"
        action = f"check that this is Uniswap's factory; else remove the executor from KEEPER_DEPLOYMENT and {_DEPLOY}"
        return warn(name, message, action)
    return ok(name, f"it trades with the pools of {checksum(ties.factory)}")


async def _capital(session: Session, snapshot: Snapshot, address: bytes, limits: Limits) -> list[Check]:
    """What it holds of the tokens that liquidations spend. With flash loans it may hold nothing."""
    symbols = session.protocol.token_symbols(snapshot.state)
    tokens = session.protocol.purse(snapshot.state)
    balances = await token_balances(session.chain.reader, snapshot.block, address, tokens)
    named = {token: symbols.get(token, (checksum(token), 0)) for token in tokens}
    held = [_holding(token, amount, named[token], limits) for token, amount in balances.items() if amount]
    if held:
        return held
    wanted = ", ".join(sorted(symbol for symbol, _ in named.values()))
    action = f"send some to {checksum(address)}, not to the signer; only flash loans need none"
    return [warn("executor: capital", f"it holds none of {wanted}", action)]
