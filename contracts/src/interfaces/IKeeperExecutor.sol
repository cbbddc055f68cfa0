// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// Liquidates with its own tokens in one transaction, and ends with more than it began or reverts with the numbers.
/// It holds the keeper's capital between transactions, and has two roles.
///
/// The treasury owns the capital: a key or a multi-signature contract that no server holds. It names the operator, and
/// bounds what that one may do: `floor`, `held`, `gasBound`. Tokens and coins that leave go to it.
///
/// The operator is the keeper's hot key. It may liquidate, sell what liquidations left, pay the treasury, and take coins
/// for gas. Somebody who steals it gets at most: of each liquidation what it brings beyond `floor` of its token; tokens
/// that are not on the list, at any price, by selling them through a pool of his own; each day `gasBound` of coins; and
/// the coins of the operator's own account. He can also send the capital to the treasury. He cannot take tokens of the
/// list, and cannot change anything.
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
        int256 minProfit; // units of the debt token; at least its floor
        uint256 deadline; // seconds: no later block may hold it
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
        int256 minProfit; // units of the settlement token; at least its floor
        uint256 deadline; // seconds: no later block may hold it
    }

    /// Perpetual Protocol v2. Buys an account's collateral for `amount` settlement tokens and sells it.
    struct CurieCollateral {
        address vault;
        address account;
        address collateral;
        uint256 amount; // units of the settlement token, paid
        Swap swap; // from collateral to settlement token
        int256 minProfit; // units of the settlement token; at least its floor
        uint256 deadline; // seconds: no later block may hold it
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
    event Swept(address indexed token, uint256 amount); // to the treasury; no token: coins
    event Sold(address indexed token, address indexed into, uint256 spent, uint256 received);
    event Refuelled(uint256 amount); // coins, to the operator
    event Unwrapped(uint256 amount); // units of `wrapped` that became coins, for a refuelling

    event TreasuryOffered(address indexed to); // nobody: the offer is withdrawn
    event TreasuryChanged(address indexed from, address indexed to);
    event OperatorChanged(address indexed from, address indexed to);
    event FloorChanged(address indexed token, uint256 floor);
    event HeldChanged(address indexed token, bool held);
    event GasBoundChanged(uint256 weiPerDay);

    error NotTreasury(address caller);
    error NotOperator(address caller);
    error BadRole(address account); // nobody, or one account in both roles
    error Expired(uint256 deadline);
    error BelowFloor(address token, int256 minProfit, uint256 floor);
    error Held(address token); // only the treasury sells a token of the list
    error NotHeld(address token); // the list has no such token to sell into, or it is what is sold
    error NoLeast(); // a sale at any price
    error AboveGasBound(uint256 amount, uint256 left); // `left`: coins that may still be taken today
    error PaymentFailed(address to); // it refused the coins
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

    /// Of this interface. Executors of version 1 have an `owner()` and no `version()`.
    function version() external view returns (uint256);
    function treasury() external view returns (address);
    /// Who may become the treasury by accepting; nobody: zero.
    function pendingTreasury() external view returns (address);
    function operator() external view returns (address);
    /// Least profit of a liquidation, and of a batch, in units of its token.
    function floor(address token) external view returns (uint256);
    /// Whether it is a token to hold: capital, which the operator cannot sell, and what else is sold into.
    function held(address token) external view returns (bool);
    /// Coins (wei) that the operator may take in a UTC day.
    function gasBound() external view returns (uint256);
    /// Coins (wei) of them that are left today.
    function gasLeftToday() external view returns (uint256);
    /// The Uniswap v3 factory whose pools it may trade with.
    function factory() external view returns (address);
    /// The chain's wrapped coin, which `refuel` unwraps; zero: none.
    function wrapped() external view returns (address);

    // For the operator.

    function liquidateAave(AaveLiquidation calldata order) external returns (int256 profit);
    function liquidateCurie(CurieLiquidation calldata order) external returns (int256 profit);
    function liquidateCurieCollateral(CurieCollateral calldata order) external returns (int256 profit);

    /// Several liquidations of one profit token: `steps` are calls of the three above, each with at most its gas. A step
    /// that fails, or for which too little gas is left, is told and undone, alone; all are when the balance of `token`
    /// grew by less than `minProfit` over the whole call.
    function batch(
        bytes[] calldata steps,
        uint256[] calldata gasLimits,
        address token,
        int256 minProfit,
        uint256 deadline
    ) external returns (Outcome[] memory outcomes);

    // For the operator and the treasury.

    /// Sells all of a token through pools of the factory, in order, for at least `minOut` of a token of the list.
    function sell(address token, address[] calldata pools, uint256 minOut) external returns (uint256 received);

    /// Pays the treasury. No token: coins.
    function sweep(address token, uint256 amount) external;

    /// Pays coins (wei) to the operator, unwrapping what is missing.
    function refuel(uint256 amount) external;

    // For the treasury.

    /// First of two steps: `to` becomes the treasury when it accepts. Zero withdraws the offer.
    function offerTreasury(address to) external;
    /// Second step, by the account to which it was offered.
    function acceptTreasury() external;
    function setOperator(address to) external;
    function setFloor(address token, uint256 units) external;
    function setHeld(address token, bool held_) external;
    function setGasBound(uint256 weiPerDay) external;
}
