// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// What a liquidator does with Perpetual Protocol v2's ClearingHouse, and how he finds the contracts around it.
interface ICurieClearingHouseActions {
    struct ClosePositionParams {
        address baseToken;
        uint160 sqrtPriceLimitX96;
        uint256 oppositeAmountBound;
        uint256 deadline;
        bytes32 referralCode;
    }

    /// The caller takes a part of the trader's position over; a size of 0 or one too big means the most allowed.
    function liquidate(address trader, address baseToken, int256 positionSize) external;
    /// Trades the caller's position away, or what the market's price limit allows of it.
    function closePosition(ClosePositionParams calldata params) external returns (uint256 base, uint256 quote);
    /// Takes a maker's liquidity out of a market; only while he has too little margin.
    function cancelAllExcessOrders(address maker, address baseToken) external;

    function getVault() external view returns (address);
    function getAccountBalance() external view returns (address);
    function getOrderBook() external view returns (address);
}

/// Holds margin. Amounts in the token's own units.
interface ICurieVaultActions {
    function deposit(address token, uint256 amount) external;
    function withdrawAll(address token) external returns (uint256 amount);
    /// Pays a trader's debt and takes his collateral at a discount; reverts above the most allowed.
    function liquidateCollateral(address trader, address token, uint256 amount, bool isDenominatedInSettlementToken)
        external
        returns (uint256 collateral);

    function getSettlementToken() external view returns (address);
    /// Margin with all profits and losses, in units of the settlement token.
    function getSettlementTokenValue(address trader) external view returns (int256);
}

interface ICurieAccountBalanceViews {
    function getBaseTokens(address trader) external view returns (address[] memory);
    function getTakerPositionSize(address trader, address baseToken) external view returns (int256);
}

interface ICurieOrderBookViews {
    function getOpenOrderIds(address trader, address baseToken) external view returns (bytes32[] memory);
}
