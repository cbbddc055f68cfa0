"""Write the minimal ABIs in `abis/` from a contract build; with --check, say whether they are what the build gives."""

import json
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
OUT = ROOT / "contracts" / "out"
# contract -> functions that the keeper calls; events and errors are kept whole
KEPT = {
    "MarginEngine": {
        "collateralCount",
        "marketCount",
        "health",
        "liquidate",
        "seizeCollateral",
        "getPosition",
        "settlementBalance",
        "collateralBalance",
    },
    "BulkReader": {"clock", "read"},
    "SlotReader": set(),
    "IAavePool": {"POOL_REVISION", "getReservesList", "getUserAccountData"},
    "IAaveAddressesProvider": {"getPool", "getPoolConfigurator", "getPriceOracle", "getPriceOracleSentinel"},
    "IAaveConfigurator": set(),
    "IAaveOracle": {"BASE_CURRENCY", "BASE_CURRENCY_UNIT", "getAssetPrice", "getSourceOfAsset"},
    "IAaveSentinel": {"isLiquidationAllowed"},
    "IUniswapV3Pool": {"token0", "token1", "fee", "tickSpacing", "slot0", "liquidity", "observe"},
    "PoolLens": {"read"},
    "IFeed": {"decimals", "latestRoundData"},
    "IERC20Metadata": {"approve", "allowance", "balanceOf", "symbol", "decimals", "transfer"},
    "KeeperExecutor": {
        "version",
        "treasury",
        "pendingTreasury",
        "operator",
        "floor",
        "held",
        "gasBound",
        "gasLeftToday",
        "factory",
        "wrapped",
        "liquidateAave",
        "liquidateCurie",
        "liquidateCurieCollateral",
        "batch",
        "sell",
        "sweep",
        "refuel",
        "offerTreasury",
        "acceptTreasury",
        "setOperator",
        "setFloor",
        "setHeld",
        "setGasBound",
    },
}
WHOLE = {"IArbGasInfo", "ICurie", "ICurieMarket", "IGasPriceOracle"}  # interfaces of our own: only what is used
WITH_RUNTIME = {"BulkReader", "KeeperExecutor", "PoolLens", "SlotReader"}
WITH_IMMUTABLES = {"KeeperExecutor"}
WITH_CREATION = {"KeeperExecutor"}


def minimal(contract: str) -> dict[str, object]:
    """The kept part of a contract's ABI, and its runtime or creation code where the keeper needs that."""
    artifact = json.loads((OUT / f"{contract}.sol" / f"{contract}.json").read_text())
    kept = [
        entry
        for entry in artifact["abi"]
        if contract in WHOLE or entry["type"] in ("event", "error") or entry.get("name") in KEPT[contract]
    ]
    result: dict[str, object] = {"contract": contract, "abi": kept}
    if contract in WITH_RUNTIME:
        result["runtime"] = artifact["deployedBytecode"]["object"].removeprefix("0x")
    if contract in WITH_IMMUTABLES:
        found = artifact["deployedBytecode"]["immutableReferences"].values()
        result["immutables"] = sorted([place["start"], place["length"]] for places in found for place in places)
    if contract in WITH_CREATION:
        result["creation"] = artifact["bytecode"]["object"].removeprefix("0x")
    return result


def main() -> int:
    if not OUT.is_dir():
        print(f"{OUT.relative_to(ROOT)} is missing: run `forge build` first")
        return 2
    stale = []
    for contract in (*KEPT, *sorted(WHOLE)):
        path = ROOT / "abis" / f"{contract}.json"
        text = json.dumps(minimal(contract), indent=1) + "\n"
        if path.exists() and path.read_text() == text:
            continue
        stale.append(path.name)
        if "--check" not in sys.argv:
            path.write_text(text)
    if stale and "--check" in sys.argv:
        print(f"abis/ differs from the build: {', '.join(stale)}; run `make abis`")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
