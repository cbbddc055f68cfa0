"""Whether the executor obeys our signer and belongs to our treasury. A live run refuses any other."""

from keeper.abi import checksum
from keeper.app.session import Session
from keeper.errors import OperatorError
from keeper.protocols import executor
from keeper.settings import Settings


def own_treasury(settings: Settings) -> bytes | None:
    """KEEPER_TREASURY as an address; None when it is not set."""
    return bytes.fromhex(settings.treasury[2:]) if settings.treasury else None


async def check_roles(settings: Settings, session: Session, signer: bytes) -> None:
    """Raises OperatorError for an executor with another operator than the signer, or another treasury than the set one.

    A plug-in that needs no executor may name a contract of its own kind, which has no such roles.
    """
    address, reader = session.deployment.executor, session.chain.reader
    if not address:
        return
    ties = executor.ties(await reader.read(await reader.head(), executor.ties_calls(address)))
    if ties is None:
        if session.protocol.needs_executor:
            raise OperatorError(
                f"KEEPER_DEPLOYMENT: Executor {checksum(address)} is not the keeper's executor contract: correct the "
                "address, or remove it and run `keeper executor deploy --factory ADDRESS --treasury ADDRESS --live`"
            )
        return
    if ties.operator != signer:
        raise OperatorError(
            f"executor {checksum(address)} obeys {checksum(ties.operator)}, not the signer {checksum(signer)}: use "
            f"that key, or let the treasury sign `keeper executor treasury set-operator {checksum(signer)}`"
        )
    wanted = own_treasury(settings)
    if wanted is not None and ties.treasury != wanted:
        raise OperatorError(
            f"KEEPER_TREASURY is {checksum(wanted)}, but executor {checksum(address)} belongs to "
            f"{checksum(ties.treasury)}: do not fund it and correct Executor in KEEPER_DEPLOYMENT, or set "
            "KEEPER_TREASURY to that address if your treasury passed its role on to it"
        )
