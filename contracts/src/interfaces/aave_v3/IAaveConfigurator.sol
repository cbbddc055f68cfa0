// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// Events of Aave's PoolConfigurator that change what there is to read.
interface IAaveConfigurator {
    event ReserveInitialized(
        address indexed asset,
        address indexed aToken,
        address stableDebtToken,
        address variableDebtToken,
        address interestRateStrategyAddress
    );
    event ReserveDropped(address indexed asset);
    event EModeCategoryAdded(
        uint8 indexed categoryId,
        uint256 ltv,
        uint256 liquidationThreshold,
        uint256 liquidationBonus,
        address oracle,
        string label
    );
}
