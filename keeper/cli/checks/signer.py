"""What `keeper doctor` checks of the signer: it signs, it has no code, and it has funds."""

from keeper.abi import checksum
from keeper.app.policies import native_price_of, policy_of
from keeper.app.session import Session
from keeper.app.signers import signer_of
from keeper.chain.balances import token_balances
from keeper.cli.checks.check import Check, fail, ok, warn
from keeper.errors import KeeperError, OperatorError
from keeper.execute.admission.approvals import missing
from keeper.execute.signing.policy import SigningPolicy
from keeper.execute.signing.policy_signer import PolicySigner
from keeper.execute.signing.signer import UnsignedTx
from keeper.model.fees import fee_for_deadline, next_base_fee
from keeper.model.health import WAD
from keeper.protocols.base import Protocol, Snapshot
from keeper.settings import Settings

LIQUIDATIONS = 10  # that the balance should pay for
TYPICAL_GAS = 500_000
NEVER_REACHED = 2**64 - 2  # EIP-2681: the last nonce


async def check_signer(settings: Settings, session: Session, snapshot: Snapshot, address: bytes) -> list[Check]:
    """The signer has no code, can pay for some liquidations, and has the tokens and allowances that they need."""
    reader, block = session.chain.reader, snapshot.block
    found = []
    if await reader.code(address):
        found.append(
            fail(
                "signer: plain account",
                f"{checksum(address)} has code",
                "use another signer: nodes limit a delegated account (EIP-7702) to one pending transaction",
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
    message = f"{balance / 1e18:.6f} of the native coin; {LIQUIDATIONS} liquidations may cost {needed / 1e18:.6f} now"
    try:
        price = native_price_of(settings).at(protocol, snapshot, block.timestamp)
        message += f", at {price / WAD:,.2f} dollars a coin"
    except OperatorError as error:
        return fail("signer: balance", f"{message}; {error}", "the keeper cannot value gas without this price")
    if balance < needed:
        return (
            fail("signer: balance", message, "send the native coin to the signer")
            if balance == 0
            else warn("signer: balance", message, "send the native coin to the signer")
        )
    return ok("signer: balance", message)


async def _tokens(session: Session, snapshot: Snapshot, address: bytes) -> list[Check]:
    """Balances of what seizures spend, and allowances, which a live keeper grants itself."""

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
            found.append(
                ok(
                    name,
                    f"{held}; the allowance is missing: `keeper run --live` grants it before the first liquidation",
                )
            )
        else:
            found.append(ok(name, f"{held}, allowance granted"))
    return found


def check_pinned(settings: Settings, address: bytes) -> list[Check]:
    """A key in KMS is named by its address, too. Nothing to say of other signers."""
    if not settings.kms_key_id:
        return []
    if settings.signer_address:
        return [ok("signer: address", f"{checksum(address)}, as KEEPER_SIGNER_ADDRESS says")]
    message = f"KEEPER_KMS_KEY_ID names the key of {checksum(address)}, and may name another one later"
    return [warn("signer: address", message, f"set KEEPER_SIGNER_ADDRESS={checksum(address)}, if that is your signer")]


async def check_signing(settings: Settings) -> Check:
    """The signer signs for its address: a self-transfer at a nonce that is never reached, and that is not sent."""

    signer = signer_of(settings)
    policy = SigningPolicy(settings.chain_id, signer.address, frozenset(), max_fee=1)
    policy_signer = PolicySigner(signer, policy, settings.signer_timeout_s)
    try:
        await signer.open()
        await policy_signer.sign(UnsignedTx(settings.chain_id, NEVER_REACHED, signer.address, b"", 21_000, 1, 0))
    except KeeperError as error:
        return fail("signer: signs", str(error), "check the signer, and its permission to use this key")
    finally:
        await policy_signer.close()
    return ok("signer: signs", f"its signature recovers to {checksum(signer.address)}")
