// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// What the keeper knows of Aave's pool: views, the events that name accounts, and 3.6's reasons to revert.
interface IAavePool {
    event Supply(
        address indexed reserve, address user, address indexed onBehalfOf, uint256 amount, uint16 indexed referralCode
    );
    event Withdraw(address indexed reserve, address indexed user, address indexed to, uint256 amount);
    event Borrow(
        address indexed reserve,
        address user,
        address indexed onBehalfOf,
        uint256 amount,
        uint8 interestRateMode,
        uint256 borrowRate,
        uint16 indexed referralCode
    );
    event Repay(
        address indexed reserve, address indexed user, address indexed repayer, uint256 amount, bool useATokens
    );
    event SwapBorrowRateMode(address indexed reserve, address indexed user, uint8 interestRateMode);
    event RebalanceStableBorrowRate(address indexed reserve, address indexed user);
    event UserEModeSet(address indexed user, uint8 categoryId);
    event ReserveUsedAsCollateralEnabled(address indexed reserve, address indexed user);
    event ReserveUsedAsCollateralDisabled(address indexed reserve, address indexed user);
    event DeficitCreated(address indexed user, address indexed debtAsset, uint256 amountCreated);
    event LiquidationCall(
        address indexed collateralAsset,
        address indexed debtAsset,
        address indexed user,
        uint256 debtToCover,
        uint256 liquidatedCollateralAmount,
        address liquidator,
        bool receiveAToken
    );

    error HealthFactorNotBelowThreshold();
    error CollateralCannotBeLiquidated();
    error SpecifiedCurrencyNotBorrowedByUser();
    error ReserveInactive();
    error ReservePaused();
    error PriceOracleSentinelCheckFailed();
    error LiquidationGraceSentinelCheckFailed();
    error MustNotLeaveDust();
    error InvalidBurnAmount();
    error FlashloanDisabled();
    error InvalidAmount();
    error SelfLiquidation();

    function POOL_REVISION() external view returns (uint256);
    function getReservesList() external view returns (address[] memory);
    function getUserAccountData(address user)
        external
        view
        returns (
            uint256 totalCollateralBase,
            uint256 totalDebtBase,
            uint256 availableBorrowsBase,
            uint256 currentLiquidationThreshold,
            uint256 ltv,
            uint256 healthFactor
        );
}
