// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// Aave's price oracle.
interface IAaveOracle {
    event AssetSourceUpdated(address indexed asset, address indexed source);

    function BASE_CURRENCY() external view returns (address);
    function BASE_CURRENCY_UNIT() external view returns (uint256);
    function getAssetPrice(address asset) external view returns (uint256);
    function getSourceOfAsset(address asset) external view returns (address);
}
