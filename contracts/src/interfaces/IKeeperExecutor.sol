// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// Liquidates with its own tokens in one transaction, and ends with more than it began or reverts with the numbers.
/// It holds the keeper's capital between transactions. Only its owner, the keeper's address, can use it.
interface IKeeperExecutor {
    /// Exact input through Uniswap v3 pools of the factory, in order: all that a liquidation gave. No pools: the token is
    /// what is wanted already, and `minOut` says nothing.
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
        bool flashLoan; // `repay` is borrowed from `pool`, which takes its premium
        Swap swap; // from collateral to debt token
        int256 minProfit; // units of the debt token; negative: what it may cost
    }

    /// Perpetual Protocol v2. Deposits `margin`, cancels the account's orders in all markets first where asked, liquidates,
    /// closes what was inherited, withdraws everything. Leaves neither position nor margin there, or reverts.
    struct CurieLiquidation {
        address clearingHouse;
        address account;
        address baseToken;
        int256 size; // as `ClearingHouse.liquidate` takes it
        uint256 margin; // units of the settlement token
        bool cancelOrders;
        uint160 sqrtPriceLimitX96; // of the closing trade; 0: the market's own limit
        uint256 oppositeAmountBound; // of the closing trade: least quote for a long, most for a short; 0: none
        int256 minProfit; // units of the settlement token; negative: what it may cost
    }

    /// Perpetual Protocol v2. Buys an account's collateral for `amount` settlement tokens and sells it.
    struct CurieCollateral {
        address vault;
        address account;
        address collateral;
        uint256 amount; // units of the settlement token, paid
        Swap swap; // from collateral to settlement token
        int256 minProfit; // units of the settlement token; negative: what it may cost
    }

    /// What a step of a batch came to: `reason` is the revert data of one that failed.
    struct Outcome {
        bool success;
        int256 profit; // units of the step's own token
        uint256 gasUsed;
        bytes reason; // the first 1,024 bytes
    }

    /// `profit`: by how much the balance of `token` grew.
    event Liquidated(address indexed account, address indexed token, int256 profit);
    event StepFailed(uint256 indexed index, bytes reason);

    error NotOwner(address caller);
    error Unprofitable(address token, int256 profit, int256 least);
    /// A swap gave too little, a pool did not take all of its input, or a liquidation gave nothing.
    error Shortfall(address token, uint256 amount, uint256 least);
    error PositionLeft(address baseToken, int256 size); // the market's price limit allowed a part only
    error MarginLeft(int256 value); // units of the settlement token; negative: a debt
    error NotAPool(address pool); // not the factory's, or not of this token
    error BadRoute(address token, address wanted); // where the pools lead
    error Unexpected(address caller); // a callback that nobody asked for, or none where one had to come
    error Reentered();
    error TooLittleGas(uint256 left, uint256 needed); // of a step of a batch that was not begun
    error BadBatch(); // not one gas limit for each step

    function owner() external view returns (address);
    /// The Uniswap v3 factory whose pools it may trade with.
    function factory() external view returns (address);

    function liquidateAave(AaveLiquidation calldata order) external returns (int256 profit);
    function liquidateCurie(CurieLiquidation calldata order) external returns (int256 profit);
    function liquidateCurieCollateral(CurieCollateral calldata order) external returns (int256 profit);

    /// Several liquidations of one profit token: `steps` are calls of the three above, each with at most its gas. A step
    /// that fails, or for which too little gas is left, is told and undone, alone; all are when the balance of `token`
    /// grew by less than `minProfit` over the whole call.
    function batch(bytes[] calldata steps, uint256[] calldata gasLimits, address token, int256 minProfit)
        external
        returns (Outcome[] memory outcomes);

    /// Takes tokens out, to the owner alone.
    function sweep(address token, uint256 amount) external;
}
