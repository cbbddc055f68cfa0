"""web3 for cold paths, over the keeper's own connections. Imported late, as importing web3 takes a second."""

import msgspec
from eth_utils.address import to_checksum_address
from web3 import AsyncWeb3
from web3.contract import AsyncContract
from web3.providers.async_base import AsyncJSONBaseProvider
from web3.types import RPCEndpoint, RPCResponse

from keeper.abi import read_abi
from keeper.chain.errors import RpcError
from keeper.chain.pool import NodePool
from keeper.errors import Refused, Transient
from keeper.model.refusal import RefusalCode

_SENDING = frozenset({"eth_sendRawTransaction", "eth_sendTransaction"})


class PoolProvider(AsyncJSONBaseProvider):
    """web3's provider over a pool of nodes, for reads only: transactions go through the sender."""

    def __init__(self, pool: NodePool) -> None:
        super().__init__()
        self._pool = pool

    async def make_request(self, method: RPCEndpoint, params: object) -> RPCResponse:
        """Raises Transient, or Refused for a transaction."""
        if method in _SENDING:
            raise Refused(RefusalCode.SENDING_NOT_ALLOWED, f"{method} is not allowed through web3")
        arguments = list(params) if isinstance(params, list | tuple) else [params]
        try:
            result = await self._pool.request(msgspec.Raw, method, *arguments)
        except RpcError as error:
            return {
                "jsonrpc": "2.0",
                "id": 0,
                "error": {"code": error.code, "message": error.message, "data": error.data},
            }
        return {"jsonrpc": "2.0", "id": 0, "result": msgspec.json.decode(result)}

    async def is_connected(self, show_traceback: bool = False) -> bool:  # noqa: ARG002
        try:
            await self._pool.request(str, "eth_chainId")
        except Transient:
            return False
        return True


def contract_over(pool: NodePool, address: bytes, name: str) -> AsyncContract:
    """A contract with the ABI `name` of `abis/`. Give each call a `block_identifier`: one block, one truth."""
    return web3_over(pool).eth.contract(to_checksum_address(address), abi=read_abi(name))


def web3_over(pool: NodePool) -> AsyncWeb3[PoolProvider]:
    """A client without the validation middleware, which adds two requests to every call."""
    client: AsyncWeb3[PoolProvider] = AsyncWeb3(PoolProvider(pool))
    client.middleware_onion.remove("validation")
    return client
