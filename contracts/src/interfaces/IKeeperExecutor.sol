// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// Liquidates with its own tokens in one transaction, and ends with more than it began or reverts with the numbers.
/// It holds the keeper's capital between transactions. Only its owner, the keeper's address, can use it.
interface IKeeperExecutor {
    /// Exact input through Uniswap v3 pools, in order. No pools: the token is what is wanted already.
    struct Swap {
        address[] pools;
        uint256 minOut;
    }

    /// Aave v3. `repay`: units of the debt token to cover; borrowed from the pool itself where `flashLoan`.
    struct AaveLiquidation {
        address pool;
        address account;
        address collateral;
        address debt;
        uint256 repay;
        bool flashLoan;
        Swap swap; // from collateral to debt token
        uint256 minProfit; // units of the debt token
    }

    /// Perpetual Protocol v2. Deposits `margin`, cancels the account's orders first where asked, liquidates, closes what
    /// was inherited, withdraws everything.
    struct CurieLiquidation {
        address clearingHouse;
        address account;
        address baseToken;
        int256 size; // as `ClearingHouse.liquidate` takes it
        uint256 margin; // units of the settlement token
        bool cancelOrders;
        uint160 sqrtPriceLimitX96; // of the closing trade
        uint256 oppositeAmountBound; // of the closing trade
        uint256 minProfit; // units of the settlement token
    }

    /// Perpetual Protocol v2. Buys an account's collateral for `amount` settlement tokens and sells it.
    struct CurieCollateral {
        address vault;
        address account;
        address collateral;
        uint256 amount; // units of the settlement token, paid
        Swap swap; // from collateral to settlement token
        uint256 minProfit; // units of the settlement token
    }

    /// What a step of a batch came to: `reason` is the revert data of one that failed.
    struct Outcome {
        bool success;
        uint256 profit;
        uint256 gasUsed;
        bytes reason;
    }

    /// `profit`: by how much the balance of `token` grew.
    event Liquidated(address indexed account, address indexed token, uint256 profit);
    event StepFailed(uint256 indexed index, bytes reason);

    error NotOwner(address caller);
    error Unprofitable(address token, int256 profit, uint256 least);
    error Shortfall(address token, uint256 amount, uint256 least); // a swap, or what a liquidation gave
    error Unexpected(address caller); // a callback that nobody asked for

    function owner() external view returns (address);
    /// The Uniswap v3 factory whose pools it may trade with.
    function factory() external view returns (address);

    function liquidateAave(AaveLiquidation calldata order) external returns (uint256 profit);
    function liquidateCurie(CurieLiquidation calldata order) external returns (uint256 profit);
    function liquidateCurieCollateral(CurieCollateral calldata order) external returns (uint256 profit);

    /// Several liquidations of one profit token: `steps` are calls of the three above, each with at most its gas. A step
    /// that fails is told and undone, alone; all are when the profits together are less than `minProfit`.
    function batch(bytes[] calldata steps, uint256[] calldata gasLimits, address token, uint256 minProfit)
        external
        returns (Outcome[] memory outcomes);

    /// Takes tokens out, to the owner alone.
    function sweep(address token, uint256 amount) external;
}
