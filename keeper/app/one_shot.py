"""Sends one transaction for a command, while no keeper runs.

It is not a liquidation and does not go through the journal: it takes the journal's and the signer's locks, so that
nobody else uses the nonce, and is refused while something is on its way. Sent again before it was mined, it is the
same transaction.
"""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace

import rlp
from eth_utils.crypto import keccak

from keeper.app.signers import signer_of
from keeper.chain.connect import Chain
from keeper.chain.errors import RpcError
from keeper.clock import SystemClock
from keeper.errors import OperatorError
from keeper.execute.breakers.store import EVERYONE, open_breaker_store
from keeper.execute.journal.journal import Journal, open_journal
from keeper.execute.leadership.file_lock import lock_directory, lock_signer
from keeper.execute.leadership.lease import lease_length
from keeper.execute.signing.calls import ExactCall
from keeper.execute.signing.policy import SigningPolicy
from keeper.execute.signing.policy_signer import PolicySigner
from keeper.execute.signing.signer import Signer
from keeper.execute.tx.requests import unsigned, urgent_request
from keeper.model.chain import Call, Receipt, hexed
from keeper.model.intent import NATIVE, SendStatus, TxRequest
from keeper.model.plan import Policy
from keeper.settings import Settings

FAILED = 4  # exit code
ONE_SHOT = "one_shot"
_SPARE_PERCENT = 120  # gas limit, of the estimate
_LOOK_S = 0.2
_REPEATED = frozenset({"already_known", "replacement_underpriced"})  # an earlier try is on its way


@dataclass(frozen=True, slots=True)
class OneShotTx:
    """What to send, and what its simulation may say. `to` empty creates a contract."""

    to: bytes
    data: bytes
    explain: Callable[[bytes], object]


def created(sender: bytes, nonce: int) -> bytes:
    """The address of the contract that a transaction creates."""
    return bytes(keccak(rlp.encode([sender, nonce])))[-20:]


async def send_once(
    settings: Settings, policy: Policy, chain: Chain, tx: OneShotTx, wait_s: float, tell: Callable[[str], None]
) -> tuple[Receipt, int]:
    """The receipt and the nonce; `tell` gets the transaction's hash before it leaves.

    Raises OperatorError: exit code 3 while a keeper runs, 4 when it reverts, is refused, or is not mined in `wait_s`.
    """
    signer = await asyncio.to_thread(signer_of, settings)
    lease_s = await lease_length(settings.lease_s, chain.reader)
    genesis = await chain.reader.block_by_number(0)
    with _alone(settings, signer, genesis.hash, lease_s) as journal:
        try:
            await signer.open()
            nonce = await chain.sender.nonce(signer.address)
            if (consumed := journal.consumed_nonce()) >= nonce:
                raise OperatorError(
                    f"nonce {consumed} is used in the journal, but the chain's next nonce is {nonce}: wait until the "
                    "node has caught up; if it has, the journal was altered or is of another chain",
                    FAILED,
                )
            request = await _request(chain, policy, tx, signer.address)
            signed = await _policy_signer(settings, policy, tx, signer).sign(
                unsigned(request, settings.chain_id, nonce)
            )
            await asyncio.to_thread(_note, settings, signer.address, signed.tx_hash)
            tell(hexed(signed.tx_hash))
            result = await chain.sender.send_raw(signed.raw)
            if result.status is SendStatus.REFUSED and result.reason not in _REPEATED:
                raise OperatorError(f"nodes refused the transaction: {result.message or result.reason}", FAILED)
            receipt = await _mined(chain, journal, signed.tx_hash, wait_s)
            await asyncio.to_thread(_book, settings, signer.address, receipt, nonce)
            return receipt, nonce
        finally:
            await signer.close()


def _policy_signer(settings: Settings, policy: Policy, tx: OneShotTx, signer: Signer) -> PolicySigner:
    """May sign this transaction and nothing else."""
    targets = frozenset({tx.to} - {b""})
    creation = b"" if tx.to else keccak(tx.data)
    calls = ExactCall(Call(tx.to, tx.data))
    rules = SigningPolicy(settings.chain_id, signer.address, targets, policy.max_fee, creation=creation, calls=calls)
    return PolicySigner(signer, rules, settings.signer_timeout_s)


def _note(settings: Settings, signer: bytes, tx_hash: bytes) -> None:
    """Let the next keeper know whose transaction this is: what a stolen key moves is not explained."""
    store = open_breaker_store(settings.database_url.get_secret_value(), settings.data_dir, signer, settings.chain_id)
    try:
        store.note_command(tx_hash)
    finally:
        store.close()


def _book(settings: Settings, signer: bytes, receipt: Receipt, nonce: int) -> None:
    """Take the cost off what the next keeper expects to find: the journal does not have this transaction."""
    store = open_breaker_store(settings.database_url.get_secret_value(), settings.data_dir, signer, settings.chain_id)
    try:
        if (held := store.capital()) and (place := (signer, NATIVE)) in held.units:
            cost = receipt.gas_used * receipt.effective_gas_price + receipt.data_fee
            units = {**held.units, place: held.units[place] - cost}
            store.keep_capital(replace(held, nonce=max(held.nonce, nonce + 1), units=units))
    finally:
        store.close()


@contextmanager
def _alone(settings: Settings, signer: Signer, genesis: bytes, lease_s: float) -> Iterator[Journal]:
    """The journal, held alone and with nothing on its way. Raises OperatorError."""
    with ExitStack() as held:
        held.callback(lock_directory(settings.data_dir).close)
        held.callback(lock_signer(signer.address, settings.chain_id, genesis).close)
        url = settings.database_url.get_secret_value()
        journal = open_journal(url, settings.data_dir, signer.address, settings.chain_id, lease_s)
        held.callback(journal.close)
        _check(settings, journal)
        yield journal


def _check(settings: Settings, journal: Journal) -> None:
    """Nothing is on its way, as far as the journal knows, and it knows. Raises OperatorError."""
    if journal.damaged:
        url = settings.database_url.get_secret_value()
        store = open_breaker_store(url, settings.data_dir, EVERYONE, settings.chain_id)
        try:
            store.kill("the journal was damaged and recreated", int(SystemClock().now()))
        finally:
            store.close()
        raise OperatorError(
            f"the journal was damaged and moved to {journal.damaged}: see `journal.rebuilt` in docs/operations.md; "
            "the kill switch is on until `keeper resume`",
            FAILED,
        )
    if journal.open_intents():
        raise OperatorError(
            "transactions of an earlier run are pending: `keeper txs` shows them, `keeper kill` cancels them", FAILED
        )


async def _request(chain: Chain, policy: Policy, tx: OneShotTx, sender: bytes) -> TxRequest:
    """The transaction at a fee that stays valid until the deadline. Raises OperatorError when it would revert."""
    block = await chain.reader.head()
    try:
        gas = await chain.reader.estimate(sender, tx.to, tx.data)
    except RpcError as error:
        data = bytes.fromhex(error.data.removeprefix("0x")) if isinstance(error.data, str) else b""
        reason = tx.explain(data) if data else error.message
        raise OperatorError(f"not sent, the transaction would revert: {reason}", FAILED) from None
    return urgent_request(ONE_SHOT, sender, Call(tx.to, tx.data), gas * _SPARE_PERCENT // 100, block, policy)


async def _mined(chain: Chain, journal: Journal, tx_hash: bytes, wait_s: float) -> Receipt:
    """The receipt of a success. Holds on to the right to send while it waits."""
    now = asyncio.get_running_loop().time
    ends = now() + wait_s
    while (receipt := await chain.sender.receipt(tx_hash)) is None:
        if now() > ends:
            raise OperatorError(
                f"transaction {hexed(tx_hash)} was not mined within {wait_s:g} s: check its receipt, or run the "
                "command again",
                FAILED,
            )
        await asyncio.sleep(_LOOK_S)
        await asyncio.to_thread(journal.right.renew)
    if receipt.status != 1:
        raise OperatorError(f"transaction {hexed(tx_hash)} was mined and reverted", FAILED)
    return receipt
