// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// What the keeper uses of Perpetual Protocol v2's core, whichever contract has it: ClearingHouse, Vault, AccountBalance,
/// Exchange, MarketRegistry, ClearingHouseConfig, CollateralManager.
interface ICurie {
    struct MarketInfo {
        address pool;
        uint24 exchangeFeeRatio;
        uint24 uniswapFeeRatio;
        uint24 insuranceFundFeeRatio;
        uint24 maxPriceSpreadRatio;
    }

    struct CollateralConfig {
        address priceFeed;
        uint24 collateralRatio;
        uint24 discountRatio;
        uint256 depositCap;
    }

    // ClearingHouse
    event PositionChanged(
        address indexed trader,
        address indexed baseToken,
        int256 exchangedPositionSize,
        int256 exchangedPositionNotional,
        uint256 fee,
        int256 openNotional,
        int256 realizedPnl,
        uint256 sqrtPriceAfterX96
    );
    event PositionClosed(
        address indexed trader,
        address indexed baseToken,
        int256 closedPositionSize,
        int256 closedPositionNotional,
        int256 openNotional,
        int256 realizedPnl,
        uint256 closedPrice
    );
    event PositionLiquidated(
        address indexed trader,
        address indexed baseToken,
        uint256 positionNotional,
        uint256 positionSize,
        uint256 liquidationFee,
        address liquidator
    );
    event LiquidityChanged(
        address indexed maker,
        address indexed baseToken,
        address indexed quoteToken,
        int24 lowerTick,
        int24 upperTick,
        int256 base,
        int256 quote,
        int128 liquidity,
        uint256 quoteFee
    );
    event FundingPaymentSettled(address indexed trader, address indexed baseToken, int256 fundingPayment);
    // AccountBalance
    event PnlRealized(address indexed trader, int256 amount);
    // Vault
    event Deposited(address indexed collateralToken, address indexed trader, uint256 amount);
    event Withdrawn(address indexed collateralToken, address indexed trader, uint256 amount);
    event CollateralLiquidated(
        address indexed trader,
        address indexed collateralToken,
        address indexed liquidator,
        uint256 collateral,
        uint256 repaidSettlementWithoutInsuranceFundFeeX10_S,
        uint256 insuranceFundFeeX10_S,
        uint24 discountRatio
    );
    event BadDebtSettled(address indexed trader, uint256 amount);
    // MarketRegistry
    event OwnershipTransferred(address indexed previousOwner, address indexed newOwner);
    event PoolAdded(address indexed baseToken, uint24 indexed feeRatio, address indexed pool);
    // CollateralManager
    event CollateralAdded(
        address indexed token, address priceFeed, uint24 collateralRatio, uint24 discountRatio, uint256 depositCap
    );
    event PriceFeedChanged(address indexed token, address priceFeed);
    event WhitelistedDebtThresholdChanged(address trader, uint256 whitelistedDebtThreshold);

    function getVault() external view returns (address);
    function getExchange() external view returns (address);
    function getOrderBook() external view returns (address);
    function getAccountBalance() external view returns (address);
    function getInsuranceFund() external view returns (address);
    function getClearingHouseConfig() external view returns (address);
    function getQuoteToken() external view returns (address);
    function getUniswapV3Factory() external view returns (address);
    function getClearingHouse() external view returns (address);
    function getMarketRegistry() external view returns (address);
    function getCollateralManager() external view returns (address);
    function getSettlementToken() external view returns (address);
    function decimals() external view returns (uint8);
    function paused() external view returns (bool);

    function getImRatio() external view returns (uint24);
    function getMmRatio() external view returns (uint24);
    function getLiquidationPenaltyRatio() external view returns (uint24);
    function getMaxFundingRate() external view returns (uint24);
    function getTwapInterval() external view returns (uint32);
    function getMarkPriceConfig() external view returns (uint32 marketTwapInterval, uint32 premiumInterval);
    function getSettlementTokenBalanceCap() external view returns (uint256);

    function getMmRatioBuffer() external view returns (uint24);
    function getDebtNonSettlementTokenValueRatio() external view returns (uint24);
    function getLiquidationRatio() external view returns (uint24);
    function getCLInsuranceFundFeeRatio() external view returns (uint24);
    function getDebtThreshold() external view returns (uint256);
    function getCollateralValueDust() external view returns (uint256);
    function getCollateralConfig(address token) external view returns (CollateralConfig memory);

    function getMarketInfo(address baseToken) external view returns (MarketInfo memory);
    function getMarketInfoByTrader(address trader, address baseToken) external view returns (MarketInfo memory);

    function getAccountValue(address trader) external view returns (int256);
    function getMarginRequirementForLiquidation(address trader) external view returns (int256);
    function getMarkPrice(address baseToken) external view returns (uint256);
    function isLiquidatable(address trader) external view returns (bool);
    function getFreeCollateral(address trader) external view returns (uint256);
    function getOpenOrderIds(address trader, address baseToken) external view returns (bytes32[] memory);
}
