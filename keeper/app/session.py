"""A session: a connected chain, the deployment and its adapter, which every command that talks to a node needs."""

from dataclasses import dataclass, replace
from fractions import Fraction

from keeper.abi import checksum
from keeper.book.discovery import discover
from keeper.chain.connect import Chain, connect
from keeper.chain.data_fees import NO_ORACLE, DataFeeOracle, find_oracle
from keeper.chain.pool import PoolPolicy
from keeper.clock import Clock
from keeper.errors import OperatorError
from keeper.model.data_fees import NO_DATA_FEES, DataFees
from keeper.model.events import Emit
from keeper.protocols import executor
from keeper.protocols.base import Deployment, Means, Protocol
from keeper.protocols.registry import load_deployment, load_protocol
from keeper.settings import Settings


@dataclass(frozen=True, slots=True)
class Session:
    """A connected protocol: what every command that talks to a node opens first.

    `data_fees`: what the chain charged for calldata when it was opened; `oracle` has it for each block.
    """

    chain: Chain
    deployment: Deployment
    protocol: Protocol
    oracle: DataFeeOracle = NO_ORACLE
    data_fees: DataFees = NO_DATA_FEES


async def open_session(settings: Settings, emit: Emit, clock: Clock | None = None, keeper: bytes = b"") -> Session:
    """Connect, check that the deployed contracts exist, and let the adapter discover the others. Raises OperatorError.

    keeper: the signer's address, empty when none is known.
    """
    deployment = load_deployment(settings.deployment, settings.chain_id, settings.protocol)
    deployment = replace(deployment, means=Means(keeper, settings.flash_loans, Fraction(settings.max_slip)))
    protocol = load_protocol(deployment)
    urls = [url.get_secret_value() for url in settings.rpc_urls]
    policy = PoolPolicy(settings.max_lag_blocks, settings.undo_blocks)
    chain = await connect(urls, settings.chain_id, settings.request_timeout_s, emit, policy, clock)
    try:
        await _check_deployment(chain, deployment)
        if deployment.executor:
            await _check_executor(chain, deployment.executor)
        protocol = await discover(chain.reader, protocol)
        oracle, data_fees = await find_oracle(chain.reader)
    except BaseException:
        await chain.close()
        raise
    return Session(chain, deployment, protocol, oracle, data_fees)


async def _check_executor(chain: Chain, address: bytes) -> None:
    """Raises OperatorError for an executor of version 1, which this keeper cannot call any more."""
    answers = await chain.reader.read(await chain.reader.head(), executor.ties_calls(address))
    if executor.outdated(answers):
        raise OperatorError(f"KEEPER_DEPLOYMENT: {executor.outdated_message(address)}")


async def _check_deployment(chain: Chain, deployment: Deployment) -> None:
    head = await chain.reader.head()
    if deployment.start_block > head.number:
        raise OperatorError(
            f"KEEPER_DEPLOYMENT: start_block {deployment.start_block} is after the newest block, {head.number}"
        )
    for name, address in deployment.contracts.items():
        if not await chain.reader.code(address):
            raise OperatorError(
                f"KEEPER_DEPLOYMENT: {name} at {checksum(address)} has no code on chain {deployment.chain_id}: "
                "wrong address, or wrong chain"
            )
