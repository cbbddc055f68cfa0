"""The contracts of both releases: 3.0.2 as its package carries them, 3.6 compiled once from its package's sources."""

import hashlib
import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

from keeper.errors import OperatorError
from keeper.sim.node.artifacts import ROOT, Artifact, artifact_of, package_file, packaged

V3_0_2, V3_6 = "3.0.2", "3.6"
VERSIONS = (V3_0_2, V3_6)
CORE, ORIGIN, SOLC = "@aave/core-v3", "@aave-dao/aave-v3-origin", "solc"

Contracts = Callable[[str], Artifact]  # by name

_PREFIXES = {
    "openzeppelin-contracts-upgradeable/contracts/": "@openzeppelin/contracts-upgradeable/",
    "openzeppelin-contracts/": "@openzeppelin/",
    "solidity-utils/": "@bgd-labs/solidity-utils/src/",
}
# Not the settings of Aave's own build, which the package does not carry.
_SETTINGS: dict[str, Any] = {
    "optimizer": {"enabled": True, "runs": 200},
    "evmVersion": "shanghai",
    "outputSelection": {"*": {"*": ["abi", "evm.bytecode.object", "evm.bytecode.linkReferences"]}},
}
_LOGIC = "protocol/libraries/logic"
_PLACES = {
    "PoolAddressesProvider": "protocol/configuration",
    "ACLManager": "protocol/configuration",
    "PriceOracleSentinel": "protocol/configuration",
    "AaveOracle": "misc",
    "AaveProtocolDataProvider": "misc",
    "SequencerOracle": "mocks/oracle",
    **dict.fromkeys(("Pool", "PoolConfigurator", "DefaultReserveInterestRateStrategy"), "protocol/pool"),
    **dict.fromkeys(("AToken", "StableDebtToken", "VariableDebtToken"), "protocol/tokenization"),
    **dict.fromkeys(("SupplyLogic", "BorrowLogic", "LiquidationLogic", "EModeLogic", "BridgeLogic"), _LOGIC),
    **dict.fromkeys(("PoolLogic", "FlashLoanLogic", "ConfiguratorLogic"), _LOGIC),
}
_ORIGIN_PLACES = _PLACES | {
    "PriceOracleSentinel": "misc",
    "AaveProtocolDataProvider": "helpers",
    "DefaultReserveInterestRateStrategyV2": "misc",
    **dict.fromkeys(
        ("PoolInstance", "PoolConfiguratorInstance", "ATokenInstance", "VariableDebtTokenInstance"), "instances"
    ),
}


def contracts_of(version: str) -> Contracts:
    """The contracts of a release. Raises OperatorError when its package is missing or does not compile."""
    if version == V3_0_2:
        return lambda name: packaged(CORE, "artifacts", "contracts", _PLACES[name], f"{name}.sol", f"{name}.json")
    if version != V3_6:
        raise OperatorError(f"Aave v3 {version}: only {' and '.join(VERSIONS)} can be deployed")
    built = compiled()
    return lambda name: artifact_of(built[_origin(name)][name])


def _origin(name: str) -> str:
    return f"{ORIGIN}/src/contracts/{_ORIGIN_PLACES[name]}/{name}.sol"


@cache
def compiled() -> dict[str, Any]:
    """file -> contract -> compiler output of 3.6, from `build/` when these sources were compiled before."""
    task = json.dumps(
        {
            "language": "Solidity",
            "sources": dict(_sources([_origin(name) for name in _ORIGIN_NAMES])),
            "settings": _SETTINGS | {"remappings": [f"{prefix}={target}" for prefix, target in _PREFIXES.items()]},
        }
    )
    cache_file = ROOT / "build" / f"aave-v3.6-{hashlib.sha256(task.encode()).hexdigest()[:16]}.json"
    if not cache_file.is_file():
        _keep(cache_file, _compile(task))
    found: dict[str, Any] = json.loads(cache_file.read_text())
    return found


_ORIGIN_NAMES = (
    "PoolAddressesProvider", "ACLManager", "PriceOracleSentinel", "AaveOracle", "AaveProtocolDataProvider",
    "SequencerOracle", "SupplyLogic", "BorrowLogic", "LiquidationLogic", "PoolLogic", "FlashLoanLogic",
    "ConfiguratorLogic", "DefaultReserveInterestRateStrategyV2", "PoolInstance", "PoolConfiguratorInstance",
    "ATokenInstance", "VariableDebtTokenInstance",
)  # fmt: skip


def _sources(files: list[str]) -> Iterator[tuple[str, dict[str, str]]]:
    """Every file that these import, by the compiler's name for it."""
    waiting, seen = list(files), set(files)
    while waiting:
        name = waiting.pop()
        text = _package_source(name).read_text()
        yield name, {"content": text}
        for wanted in re.findall(r"""import\s+(?:[^'";]*?from\s+)?['"]([^'"]+)['"]""", text):
            found = _resolved(name, wanted)
            if found not in seen:
                seen.add(found)
                waiting.append(found)


def _resolved(importer: str, wanted: str) -> str:
    if wanted.startswith("."):
        return os.path.normpath(f"{os.path.dirname(importer)}/{wanted}")  # noqa: PTH120 - a name, not a path
    for prefix, target in _PREFIXES.items():
        if wanted.startswith(prefix):
            return target + wanted[len(prefix) :]
    return wanted


def _package_source(name: str) -> Path:
    """A source file: the package's own dependency first, as npm nests those whose version differs from the others'."""
    nested = ROOT / "node_modules" / "@bgd-labs" / "solidity-utils" / "node_modules" / name
    return nested if nested.is_file() else package_file(*name.split("/"))


def _compile(task: str) -> dict[str, Any]:
    """Run npm's compiler. Raises OperatorError when there is no Node, or when it reports an error."""
    node = shutil.which("node")
    if node is None:
        raise OperatorError("Aave v3.6 is compiled by an npm package: put Node 20 or newer on PATH")
    script = "process.stdout.write(require(process.argv[1]).compile(require('fs').readFileSync(0, 'utf8')))"
    command = [node, "-e", script, str(package_file(SOLC))]
    ran = subprocess.run(command, input=task.encode(), capture_output=True, check=False)  # noqa: S603
    if ran.returncode:
        raise OperatorError(f"the compiler of Aave v3.6 failed: {ran.stderr.decode()[-500:]}")
    answer: dict[str, Any] = json.loads(ran.stdout)
    problems = [problem for problem in answer.get("errors", ()) if problem["severity"] == "error"]
    if problems:
        raise OperatorError(f"Aave v3.6 does not compile: {problems[0]['formattedMessage']}")
    kept: dict[str, Any] = answer["contracts"]
    return kept


def _keep(path: Path, built: dict[str, Any]) -> None:
    """Write atomically, so that no other process reads a part."""
    path.parent.mkdir(exist_ok=True)
    draft = path.with_suffix(f".{os.getpid()}")
    draft.write_text(json.dumps(built))
    draft.replace(path)
