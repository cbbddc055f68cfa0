// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// What stands behind a market of Perpetual Protocol v2: its base token, its Uniswap v3 pool, and its price feeds.
interface ICurieMarket {
    // BaseToken
    event PriceFeedChanged(address indexed priceFeed);
    // ChainlinkPriceFeedV3
    event ChainlinkPriceUpdated(uint256 price, uint256 timestamp, uint8 freezedReason);
    // UniswapV3Pool
    event IncreaseObservationCardinalityNext(
        uint16 observationCardinalityNextOld, uint16 observationCardinalityNextNew
    );

    function getPriceFeed() external view returns (address);
    function getChainlinkPriceFeedV3() external view returns (address);
    function getUniswapV3PriceFeed() external view returns (address);
    function getAggregator() external view returns (address);
    function getTimeout() external view returns (uint256);
    function decimals() external view returns (uint8);
    function symbol() external view returns (string memory);

    function slot0()
        external
        view
        returns (
            uint160 sqrtPriceX96,
            int24 tick,
            uint16 observationIndex,
            uint16 observationCardinality,
            uint16 observationCardinalityNext,
            uint8 feeProtocol,
            bool unlocked
        );
    function liquidity() external view returns (uint128);
    function tickSpacing() external view returns (int24);
}
