"""A development node of our own: starts anvil on a free port, controls it by its RPC, stops it by its pid."""

import platform
import shutil
import subprocess
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec

from keeper.chain.errors import RpcError
from keeper.errors import OperatorError, Transient
from keeper.sim.node.options import AnvilOptions, find_anvil, free_port

Hexable = bytes | str

_START_TRIES = 3
_START_S = 30.0
_POLL_S = 0.01


class Anvil:
    """One anvil process. `with Anvil(...) as anvil:` or `start()` and `stop()`. Arguments: see AnvilOptions."""

    def __init__(self, options: AnvilOptions | None = None, **changes: Any) -> None:
        self.options = replace(options or AnvilOptions(), **changes)
        self._process: subprocess.Popen[bytes] | None = None
        self._connection: HTTPConnection | None = None
        self._lock = threading.Lock()
        self._sent = 0

    # Start and stop.

    def start(self) -> Self:
        """Start it and wait until it answers. Raises OperatorError when it does not come up."""
        binary = find_anvil()
        for _ in range(_START_TRIES):
            port = self.options.port or free_port()
            self._launch(binary, port)
            self._connection = HTTPConnection("127.0.0.1", port, timeout=120)
            if self._answers():
                return self
            self.stop()
        raise OperatorError(
            f"anvil did not start: run `{binary} {' '.join(self.options.arguments())}` to see why", exit_code=4
        )

    def _launch(self, binary: Path, port: int) -> None:
        command = [str(binary), "--host", "127.0.0.1", "--port", str(port), *self.options.arguments()]
        binder = shutil.which("setpriv") if self.options.bound and platform.system() == "Linux" else None
        if binder:
            command = [binder, "--pdeathsig", "TERM", *command]  # it becomes the node: the pid stays
        sink = self.options.log.open("ab") if self.options.log else None
        # Its own process group: an interrupt of the terminal is for us; we stop it when we are done with it.
        self._process = subprocess.Popen(  # noqa: S603
            command,
            stdin=subprocess.DEVNULL,
            stdout=sink or subprocess.DEVNULL,
            stderr=sink or subprocess.DEVNULL,
            process_group=0,
        )
        if sink:
            sink.close()

    def _answers(self) -> bool:
        deadline = time.monotonic() + _START_S
        while self._process and self._process.poll() is None and time.monotonic() < deadline:
            with suppress(Transient):
                self.rpc("eth_chainId")
                return self._process.poll() is None
            time.sleep(_POLL_S)
        return False

    def stop(self) -> None:
        """End the process. May be called twice."""
        if self._connection:
            self._connection.close()
        if self._process:
            self._process.terminate()
            try:
                self._process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._process = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        if self._process is None:
            raise RuntimeError("anvil is not running")
        return self._process.pid

    @property
    def port(self) -> int:
        if self._connection is None:
            raise RuntimeError("anvil was not started")
        return self._connection.port

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def ws_url(self) -> str:
        return f"ws://127.0.0.1:{self.port}"

    # Requests.

    def rpc(self, method: str, *params: Any) -> Any:
        """One JSON-RPC request over a persistent connection. Raises RpcError, or Transient when it does not answer."""
        with self._lock:
            self._sent += 1
            body = {"jsonrpc": "2.0", "id": self._sent, "method": method, "params": params}
            answer = self._post(msgspec.json.encode(body))
        if "error" in answer:
            error = answer["error"]
            raise RpcError(error["code"], error["message"], error.get("data"), method)
        return answer["result"]

    def _post(self, body: bytes) -> dict[str, Any]:
        connection = self._connection
        if connection is None:
            raise RuntimeError("anvil was not started")
        try:
            connection.request("POST", "/", body, {"Content-Type": "application/json"})
            answer: dict[str, Any] = msgspec.json.decode(connection.getresponse().read())
        except (OSError, HTTPException, msgspec.DecodeError) as error:
            connection.close()
            raise Transient(f"anvil does not answer: {error}") from None
        return answer

    def quantity(self, method: str, *params: Any) -> int:
        """A request whose answer is a number."""
        return int(self.rpc(method, *params), 16)

    def block(self, which: int | str = "latest") -> dict[str, Any]:
        """A block as the node gives it, by number or tag."""
        found: dict[str, Any] = self.rpc("eth_getBlockByNumber", hex(which) if isinstance(which, int) else which, False)
        return found

    def block_number(self) -> int:
        return self.quantity("eth_blockNumber")

    def timestamp(self) -> int:
        """Seconds, of the newest block."""
        return int(self.block()["timestamp"], 16)

    def accounts(self) -> list[str]:
        """Unlocked, funded development accounts, checksummed."""
        found: list[str] = self.rpc("eth_accounts")
        return found

    def balance(self, account: Hexable) -> int:
        return self.quantity("eth_getBalance", _hexed(account), "latest")

    def call(self, to: Hexable, data: Hexable, block: str | int = "latest") -> bytes:
        """`eth_call`. Raises RpcError when it reverts."""
        tag = hex(block) if isinstance(block, int) else block
        return bytes.fromhex(self.rpc("eth_call", {"to": _hexed(to), "data": _hexed(data)}, tag)[2:])

    def send(
        self, to: Hexable | None, data: Hexable = b"", *, sender: Hexable, value: int = 0, gas: int | None = None
    ) -> str:
        """A transaction of an unlocked or impersonated account; returns its hash."""
        request = {"from": _hexed(sender), "data": _hexed(data), "value": hex(value)}
        if to is not None:
            request["to"] = _hexed(to)
        if gas is not None:
            request["gas"] = hex(gas)
        return str(self.rpc("eth_sendTransaction", request))

    def receipt(self, tx_hash: Hexable, wait_s: float = 10.0) -> dict[str, Any]:
        """Wait for a receipt: anvil may return a hash before its receipt. Raises Transient when none comes."""
        deadline = time.monotonic() + wait_s
        while (found := self.rpc("eth_getTransactionReceipt", _hexed(tx_hash))) is None:
            if time.monotonic() > deadline:
                raise Transient(f"no receipt of {_hexed(tx_hash)} within {wait_s} s")
            time.sleep(_POLL_S)
        receipt: dict[str, Any] = found
        return receipt

    def deploy(self, creation_code: Hexable, *, sender: Hexable) -> bytes:
        """Deploy on a node that mines each transaction at once; returns the new address."""
        receipt = self.receipt(self.send(None, creation_code, sender=sender))
        if int(receipt["status"], 16) != 1:
            raise Transient("a deployment reverted")
        return bytes.fromhex(receipt["contractAddress"][2:])

    # Control.

    def mine(self, blocks: int = 1, interval_s: int | None = None) -> None:
        """Mine blocks now, `interval_s` apart in chain time."""
        self.rpc("anvil_mine", hex(blocks), *([] if interval_s is None else [hex(interval_s)]))

    def set_automine(self, enabled: bool) -> None:
        self.rpc("evm_setAutomine", enabled)

    def set_next_timestamp(self, timestamp: int) -> None:
        """Seconds, of the next block."""
        self.rpc("evm_setNextBlockTimestamp", hex(timestamp))

    def set_next_base_fee(self, base_fee: int) -> None:
        """Wei, of the next block."""
        self.rpc("anvil_setNextBlockBaseFeePerGas", hex(base_fee))

    def snapshot(self) -> str:
        return str(self.rpc("evm_snapshot"))

    def revert(self, snapshot: str) -> None:
        """Revert to a snapshot, which works once."""
        if not self.rpc("evm_revert", snapshot):
            raise Transient(f"anvil has no snapshot {snapshot}")

    def reorg(self, depth: int, transactions: Sequence[Any] = ()) -> None:
        """Replace the newest `depth` blocks by others."""
        self.rpc("anvil_reorg", depth, list(transactions))

    def set_balance(self, account: Hexable, wei: int) -> None:
        self.rpc("anvil_setBalance", _hexed(account), hex(wei))

    def set_code(self, address: Hexable, code: Hexable) -> None:
        self.rpc("anvil_setCode", _hexed(address), _hexed(code))


def _hexed(value: Hexable) -> str:
    return value if isinstance(value, str) else "0x" + value.hex()
