// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// Aave's registry of a market's contracts.
interface IAaveAddressesProvider {
    event PriceOracleUpdated(address indexed oldAddress, address indexed newAddress);
    event PriceOracleSentinelUpdated(address indexed oldAddress, address indexed newAddress);

    function getPool() external view returns (address);
    function getPoolConfigurator() external view returns (address);
    function getPriceOracle() external view returns (address);
    function getPriceOracleSentinel() external view returns (address);
}
