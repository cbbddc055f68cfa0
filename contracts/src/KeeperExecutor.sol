// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {IKeeperExecutor} from "./interfaces/IKeeperExecutor.sol";
import {IWrapped} from "./interfaces/IWrapped.sol";
import {IAaveFlashBorrower, IAavePoolActions} from "./interfaces/aave_v3/IAavePoolActions.sol";
import {
    ICurieAccountBalanceViews,
    ICurieClearingHouseActions,
    ICurieOrderBookViews,
    ICurieVaultActions
} from "./interfaces/curie/ICurieActions.sol";
import {
    IUniswapV3FactoryViews,
    IUniswapV3PoolActions,
    IUniswapV3Trader
} from "./interfaces/uniswap/IUniswapV3Actions.sol";

/// The one account that liquidates. It has no upgrade and no proxy. Capital leaves it to the treasury alone; what the
/// operator's key can do, and what somebody who steals it can, is in the interface.
///
/// It believes no return value where a balance can be measured. Each contract that it pays gets an approval of exactly
/// what may be taken, and none afterwards. A callback is taken once, from the contract that was just called, with the
/// data that it was given. While anything runs, nothing else can be called, by either role. Needs a chain with transient
/// storage (Cancun).
contract KeeperExecutor is IKeeperExecutor, IAaveFlashBorrower, IUniswapV3Trader {
    using SafeERC20 for IERC20;
    using SafeCast for int256;
    using SafeCast for uint256;

    enum Phase {
        Idle,
        Batch, // between two steps
        Step
    }

    uint160 private constant MIN_SQRT_PRICE = 4295128739; // TickMath of Uniswap v3
    uint160 private constant MAX_SQRT_PRICE = 1461446703485210103287273052203988822378723970342;
    uint256 private constant MAX_REASON = 1024; // bytes of a failed step's revert data that are kept
    uint256 private constant GAS_TO_END = 60_000; // what a batch needs after its last step
    uint256 private constant GAS_TO_SKIP = 6_000; // what it needs to tell of a step that it could not begin

    uint256 public constant version = 2;
    address public immutable factory;
    address public immutable wrapped;

    /// One slot: what the operator may take a day, and what he took on `day`.
    struct Gas {
        uint112 bound;
        uint112 taken;
        uint32 day;
    }

    address public operator;
    address public treasury;
    address public pendingTreasury;
    Gas private gas;
    mapping(address token => uint256 units) public floor;
    mapping(address token => bool) public held;

    Phase private transient phase;
    bytes32 private transient expected; // the callback that must come next

    constructor(address treasury_, address operator_, address factory_, address wrapped_) {
        if (treasury_ == address(0)) revert BadRole(treasury_);
        treasury = treasury_;
        emit TreasuryChanged(address(0), treasury_);
        _setOperator(operator_);
        factory = factory_;
        wrapped = wrapped_;
    }

    receive() external payable {}

    /// For the operator, or for a batch of his.
    modifier step(uint256 deadline) {
        Phase before = phase;
        if (msg.sender == address(this)) {
            if (before != Phase.Batch) revert NotOperator(msg.sender);
        } else {
            if (msg.sender != operator) revert NotOperator(msg.sender);
            if (before != Phase.Idle) revert Reentered();
        }
        _inTime(deadline);
        phase = Phase.Step;
        _;
        phase = before;
    }

    /// For both roles, while nothing else runs.
    modifier alone() {
        if (msg.sender != operator && msg.sender != treasury) revert NotOperator(msg.sender);
        if (phase != Phase.Idle) revert Reentered();
        phase = Phase.Step;
        _;
        phase = Phase.Idle;
    }

    modifier onlyTreasury() {
        if (msg.sender != treasury) revert NotTreasury(msg.sender);
        if (phase != Phase.Idle) revert Reentered();
        _;
    }

    // ---------------------------------------------------------------- liquidations

    function liquidateAave(AaveLiquidation calldata order) external step(order.deadline) returns (int256) {
        _checkFloor(order.debt, order.minProfit);
        uint256 before = _balance(order.debt);
        if (order.flashLoan) {
            bytes memory data = abi.encode(order);
            _expect(IAaveFlashBorrower.executeOperation.selector, order.pool, data);
            IAavePoolActions(order.pool).flashLoanSimple(address(this), order.debt, order.repay, data, 0);
            _expectNothingMore(order.pool);
            _disallow(order.debt, order.pool);
        } else {
            _takeAave(order);
        }
        return _settle(order.account, order.debt, before, order.minProfit);
    }

    function liquidateCurie(CurieLiquidation calldata order) external step(order.deadline) returns (int256) {
        ICurieClearingHouseActions house = ICurieClearingHouseActions(order.clearingHouse);
        ICurieVaultActions vault = ICurieVaultActions(house.getVault());
        ICurieAccountBalanceViews accounts = ICurieAccountBalanceViews(house.getAccountBalance());
        address token = vault.getSettlementToken();
        _checkFloor(token, order.minProfit);
        uint256 before = _balance(token);

        _deposit(vault, token, order.margin);
        if (order.cancelOrders) _cancelOrders(house, accounts, order.account);
        house.liquidate(order.account, order.baseToken, order.size);
        _close(house, order);
        int256 size = accounts.getTakerPositionSize(address(this), order.baseToken);
        if (size != 0) revert PositionLeft(order.baseToken, size);
        vault.withdrawAll(token);
        int256 left = vault.getSettlementTokenValue(address(this));
        if (left != 0) revert MarginLeft(left);

        return _settle(order.account, token, before, order.minProfit);
    }

    function liquidateCurieCollateral(CurieCollateral calldata order) external step(order.deadline) returns (int256) {
        ICurieVaultActions vault = ICurieVaultActions(order.vault);
        address token = vault.getSettlementToken();
        _checkFloor(token, order.minProfit);
        uint256 before = _balance(token);
        uint256 had = _balance(order.collateral);

        _allow(token, order.vault, order.amount);
        vault.liquidateCollateral(order.account, order.collateral, order.amount, true);
        _disallow(token, order.vault);
        _swap(order.collateral, token, had, order.swap);

        return _settle(order.account, token, before, order.minProfit);
    }

    function batch(
        bytes[] calldata steps,
        uint256[] calldata gasLimits,
        address token,
        int256 minProfit,
        uint256 deadline
    ) external returns (Outcome[] memory outcomes) {
        if (msg.sender != operator) revert NotOperator(msg.sender);
        if (phase != Phase.Idle) revert Reentered();
        if (steps.length != gasLimits.length) revert BadBatch();
        _inTime(deadline);
        _checkFloor(token, minProfit);
        phase = Phase.Batch;
        uint256 before = _balance(token);
        outcomes = new Outcome[](steps.length);
        for (uint256 i = 0; i < steps.length; ++i) {
            uint256 reserve = GAS_TO_END + GAS_TO_SKIP * (steps.length - i - 1);
            outcomes[i] = _attempt(steps[i], gasLimits[i], reserve);
            if (!outcomes[i].success) emit StepFailed(i, outcomes[i].reason);
        }
        int256 profit = _grown(token, before);
        if (profit < minProfit) revert Unprofitable(token, profit, minProfit);
        phase = Phase.Idle;
    }

    // ---------------------------------------------------------------- capital

    function sell(address token, address[] calldata pools, uint256 minOut) external alone returns (uint256 received) {
        if (held[token] && msg.sender != treasury) revert Held(token);
        if (minOut == 0) revert NoLeast();
        uint256 amount = _balance(token);
        if (amount == 0) revert Shortfall(token, 0, 1);
        address into;
        (into, received) = _through(pools, token, amount);
        if (into == token || !held[into]) revert NotHeld(into);
        if (received < minOut) revert Shortfall(into, received, minOut);
        emit Sold(token, into, amount, received);
    }

    function sweep(address token, uint256 amount) external alone {
        if (token == address(0)) _pay(treasury, amount);
        else IERC20(token).safeTransfer(treasury, amount);
        emit Swept(token, amount);
    }

    function refuel(uint256 amount) external alone {
        uint256 left = gasLeftToday();
        if (amount > left) revert AboveGasBound(amount, left);
        (gas.taken, gas.day) = (uint112(_takenToday() + amount), _today());
        uint256 coins = address(this).balance;
        if (coins < amount) {
            if (wrapped == address(0)) revert Shortfall(address(0), coins, amount);
            IWrapped(wrapped).withdraw(amount - coins);
            emit Unwrapped(amount - coins);
        }
        _pay(operator, amount);
        emit Refuelled(amount);
    }

    // ---------------------------------------------------------------- what only the treasury may do

    function offerTreasury(address to) external onlyTreasury {
        pendingTreasury = to;
        emit TreasuryOffered(to);
    }

    function acceptTreasury() external {
        if (msg.sender != pendingTreasury) revert NotTreasury(msg.sender);
        if (phase != Phase.Idle) revert Reentered();
        if (msg.sender == operator) revert BadRole(msg.sender);
        emit TreasuryChanged(treasury, msg.sender);
        (treasury, pendingTreasury) = (msg.sender, address(0));
    }

    function setOperator(address to) external onlyTreasury {
        _setOperator(to);
    }

    function setFloor(address token, uint256 units) external onlyTreasury {
        floor[token] = units;
        emit FloorChanged(token, units);
    }

    function setHeld(address token, bool held_) external onlyTreasury {
        held[token] = held_;
        emit HeldChanged(token, held_);
    }

    function setGasBound(uint256 weiPerDay) external onlyTreasury {
        gas.bound = weiPerDay.toUint112();
        emit GasBoundChanged(weiPerDay);
    }

    function gasBound() external view returns (uint256) {
        return gas.bound;
    }

    function gasLeftToday() public view returns (uint256) {
        uint256 taken = _takenToday();
        return gas.bound > taken ? gas.bound - taken : 0;
    }

    function _setOperator(address to) private {
        if (to == address(0) || to == treasury) revert BadRole(to);
        emit OperatorChanged(operator, to);
        operator = to;
    }

    function _takenToday() private view returns (uint256) {
        return gas.day == _today() ? gas.taken : 0;
    }

    function _today() private view returns (uint32) {
        return uint32(block.timestamp / 1 days);
    }

    function _pay(address to, uint256 amount) private {
        (bool paid,) = to.call{value: amount}("");
        if (!paid) revert PaymentFailed(to);
    }

    // ---------------------------------------------------------------- callbacks

    function executeOperation(address asset, uint256 amount, uint256 premium, address initiator, bytes calldata params)
        external
        returns (bool)
    {
        _takeExpected(params);
        AaveLiquidation memory order = abi.decode(params, (AaveLiquidation));
        bool asked = asset == order.debt && amount == order.repay && initiator == address(this);
        if (!asked) revert Unexpected(msg.sender);
        _takeAave(order);
        _allow(asset, msg.sender, amount + premium); // what it costs shows in the profit
        return true;
    }

    function uniswapV3SwapCallback(int256 amount0Delta, int256 amount1Delta, bytes calldata data) external {
        _takeExpected(data);
        (address token, bool zeroForOne, uint256 most) = abi.decode(data, (address, bool, uint256));
        int256 owed = zeroForOne ? amount0Delta : amount1Delta;
        if (owed < 0 || owed.toUint256() > most) revert Unexpected(msg.sender);
        IERC20(token).safeTransfer(msg.sender, uint256(owed));
    }

    // ---------------------------------------------------------------- parts of liquidations

    /// Repays, takes the collateral, and sells it where it is not the debt token itself.
    function _takeAave(AaveLiquidation memory order) private {
        uint256 had = _balance(order.collateral);
        _allow(order.debt, order.pool, order.repay);
        IAavePoolActions(order.pool).liquidationCall(order.collateral, order.debt, order.account, order.repay, false);
        _disallow(order.debt, order.pool);
        if (order.collateral != order.debt) _swap(order.collateral, order.debt, had, order.swap);
    }

    function _deposit(ICurieVaultActions vault, address token, uint256 margin) private {
        if (margin == 0) return; // the vault refuses that
        _allow(token, address(vault), margin);
        vault.deposit(token, margin);
        _disallow(token, address(vault));
    }

    /// The protocol liquidates nobody who has an order in any market.
    function _cancelOrders(ICurieClearingHouseActions house, ICurieAccountBalanceViews accounts, address account)
        private
    {
        ICurieOrderBookViews book = ICurieOrderBookViews(house.getOrderBook());
        address[] memory markets = accounts.getBaseTokens(account);
        for (uint256 i = 0; i < markets.length; ++i) {
            if (book.getOpenOrderIds(account, markets[i]).length != 0) {
                house.cancelAllExcessOrders(account, markets[i]);
            }
        }
    }

    function _close(ICurieClearingHouseActions house, CurieLiquidation calldata order) private {
        house.closePosition(
            ICurieClearingHouseActions.ClosePositionParams({
                baseToken: order.baseToken,
                sqrtPriceLimitX96: order.sqrtPriceLimitX96,
                oppositeAmountBound: order.oppositeAmountBound,
                deadline: block.timestamp,
                referralCode: bytes32(0)
            })
        );
    }

    /// One step of a batch. What it reverts with is copied no further than MAX_REASON.
    function _attempt(bytes calldata data, uint256 gasLimit, uint256 reserve) private returns (Outcome memory outcome) {
        uint256 start = gasleft();
        uint256 needed = gasLimit + gasLimit / 63 + reserve; // a call gets at most 63 parts of 64
        if (start < needed) {
            outcome.reason = abi.encodeWithSelector(TooLittleGas.selector, start, needed);
            return outcome;
        }
        bytes memory input = data;
        bytes memory output;
        bool success;
        assembly ("memory-safe") {
            success := call(gasLimit, address(), 0, add(input, 32), mload(input), 0, 0)
            let size := returndatasize()
            if gt(size, MAX_REASON) { size := MAX_REASON }
            output := mload(0x40)
            mstore(0x40, and(add(add(output, size), 63), not(31)))
            mstore(output, size)
            returndatacopy(add(output, 32), 0, size)
        }
        outcome.success = success && output.length == 32; // no calldata is a payment, which says nothing
        if (outcome.success) outcome.profit = abi.decode(output, (int256));
        else outcome.reason = output;
        outcome.gasUsed = start - gasleft();
    }

    // ---------------------------------------------------------------- swaps

    /// Sells whatever of `token` is held beyond `had`, through the pools in order.
    function _swap(address token, address wanted, uint256 had, Swap memory swap) private {
        uint256 amount = _balance(token) - had;
        if (amount == 0) revert Shortfall(token, 0, 1);
        (token, amount) = _through(swap.pools, token, amount);
        if (token != wanted) revert BadRoute(token, wanted);
        if (swap.pools.length != 0 && amount < swap.minOut) revert Shortfall(token, amount, swap.minOut);
    }

    /// What comes out of the pools, and how much.
    function _through(address[] memory pools, address token, uint256 amount) private returns (address, uint256) {
        for (uint256 i = 0; i < pools.length; ++i) {
            (token, amount) = _swapOnce(pools[i], token, amount);
        }
        return (token, amount);
    }

    function _swapOnce(address pool, address token, uint256 amount) private returns (address out, uint256 received) {
        bool zeroForOne;
        (out, zeroForOne) = _checkPool(pool, token);
        uint256 before = _balance(out);
        bytes memory data = abi.encode(token, zeroForOne, amount);
        _expect(IUniswapV3Trader.uniswapV3SwapCallback.selector, pool, data);
        (int256 amount0, int256 amount1) = IUniswapV3PoolActions(pool)
            .swap(
                address(this), zeroForOne, amount.toInt256(), zeroForOne ? MIN_SQRT_PRICE + 1 : MAX_SQRT_PRICE - 1, data
            );
        _expectNothingMore(pool);
        uint256 spent = (zeroForOne ? amount0 : amount1).toUint256();
        if (spent != amount) revert Shortfall(token, spent, amount); // the pool ran out
        received = _balance(out) - before;
    }

    /// The token that the pool gives for `token`, and whether that is its second.
    function _checkPool(address pool, address token) private view returns (address out, bool zeroForOne) {
        address token0 = IUniswapV3PoolActions(pool).token0();
        address token1 = IUniswapV3PoolActions(pool).token1();
        uint24 fee = IUniswapV3PoolActions(pool).fee();
        zeroForOne = token == token0;
        bool known = IUniswapV3FactoryViews(factory).getPool(token0, token1, fee) == pool;
        if (!known || (!zeroForOne && token != token1)) revert NotAPool(pool);
        out = zeroForOne ? token1 : token0;
    }

    // ---------------------------------------------------------------- balances and trust

    function _inTime(uint256 deadline) private view {
        if (block.timestamp > deadline) revert Expired(deadline);
    }

    /// No loss is allowed, whatever the floor.
    function _checkFloor(address token, int256 minProfit) private view {
        uint256 least = floor[token];
        if (minProfit < 0 || uint256(minProfit) < least) revert BelowFloor(token, minProfit, least);
    }

    function _settle(address account, address token, uint256 before, int256 least) private returns (int256 profit) {
        profit = _grown(token, before);
        if (profit < least) revert Unprofitable(token, profit, least);
        emit Liquidated(account, token, profit);
    }

    function _grown(address token, uint256 before) private view returns (int256) {
        return _balance(token).toInt256() - before.toInt256();
    }

    function _balance(address token) private view returns (uint256) {
        return IERC20(token).balanceOf(address(this));
    }

    function _allow(address token, address spender, uint256 amount) private {
        IERC20(token).forceApprove(spender, amount);
    }

    /// What was not taken may not be taken later.
    function _disallow(address token, address spender) private {
        if (IERC20(token).allowance(address(this), spender) != 0) IERC20(token).forceApprove(spender, 0);
    }

    function _expect(bytes4 selector, address caller, bytes memory data) private {
        expected = keccak256(abi.encode(selector, caller, data));
    }

    function _takeExpected(bytes calldata data) private {
        if (expected != keccak256(abi.encode(msg.sig, msg.sender, data))) revert Unexpected(msg.sender);
        expected = 0;
    }

    function _expectNothingMore(address callee) private view {
        if (expected != 0) revert Unexpected(callee);
    }
}
