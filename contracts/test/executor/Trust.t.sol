// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {KeeperExecutor} from "../../src/KeeperExecutor.sol";
import {IKeeperExecutor} from "../../src/interfaces/IKeeperExecutor.sol";
import {IUniswapV3Trader} from "../../src/interfaces/uniswap/IUniswapV3Actions.sol";
import {TestToken} from "../../src/mocks/TestToken.sol";
import {vm} from "../support/Vm.sol";
import {ExecutorTest} from "./support/ExecutorTest.sol";
import {HookToken} from "./support/Tokens.sol";

/// A pool that answers as one of the factory's, and calls back as it likes.
contract FalsePool {
    address public immutable token0;
    address public immutable token1;
    uint24 public constant fee = 3000;
    int256 private owed0;
    int256 private owed1;
    bool private foreign; // another's data
    uint256 private times;

    constructor(address token0_, address token1_) {
        (token0, token1) = (token0_, token1_);
    }

    function set(int256 owed0_, int256 owed1_, bool foreign_, uint256 times_) external {
        (owed0, owed1, foreign, times) = (owed0_, owed1_, foreign_, times_);
    }

    function swap(address, bool, int256 amount, uint160, bytes calldata data) external returns (int256, int256) {
        for (uint256 i = 0; i < times; ++i) {
            bytes memory given = foreign ? abi.encode(token1, true, type(uint256).max) : data;
            IUniswapV3Trader(msg.sender).uniswapV3SwapCallback(owed0, owed1, given);
        }
        return (amount, 0);
    }
}

contract FalseFactory {
    address public immutable getPoolOf;

    constructor(address pool) {
        getPoolOf = pool;
    }

    function getPool(address, address, uint24) external view returns (address) {
        return getPoolOf;
    }
}

/// Who may do what, and when: strangers, callbacks that nobody asked for, and calls back in the middle.
contract TrustTest is ExecutorTest {
    TestToken private debt = new TestToken("USD", 18);
    HookToken private gold = new HookToken();
    address private pool;

    function setUp() public override {
        super.setUp();
        pool = newPool(factory, address(gold), address(debt), 1e24);
        debt.mint(address(executor), 1_000_000e18);
        gold.mint(address(lender), 1e30);
        debt.mint(address(lender), 1e30);
        lender.setTerms(1.1e18, 10_000, 5);
    }

    function order() private view returns (IKeeperExecutor.AaveLiquidation memory) {
        return lending(address(gold), address(debt), 1_000e18, through(pool));
    }

    // ---------------------------------------------------------------- strangers

    function testFuzz_AStrangerMayDoNothing(address caller) public {
        vm.assume(caller != address(this) && caller != address(executor) && caller != treasury);
        bytes memory refused = abi.encodeWithSelector(IKeeperExecutor.NotOperator.selector, caller);
        IKeeperExecutor.CurieLiquidation memory perpetual;
        IKeeperExecutor.CurieCollateral memory collateral;
        vm.startPrank(caller);
        vm.expectRevert(refused);
        executor.liquidateAave(order());
        vm.expectRevert(refused);
        executor.liquidateCurie(perpetual);
        vm.expectRevert(refused);
        executor.liquidateCurieCollateral(collateral);
        vm.expectRevert(refused);
        executor.batch(new bytes[](0), new uint256[](0), address(debt), 0, block.timestamp);
        vm.expectRevert(refused);
        executor.sweep(address(debt), 1);
        vm.expectRevert(refused);
        executor.sell(address(gold), through(pool), 1);
        vm.expectRevert(refused);
        executor.refuel(0);
        vm.stopPrank();
    }

    function test_TheExecutorItselfMayDoNothingOutsideOfABatch() public {
        vm.expectRevert(abi.encodeWithSelector(IKeeperExecutor.NotOperator.selector, address(executor)));
        vm.prank(address(executor));
        executor.liquidateAave(order());
    }

    function testFuzz_ACallbackThatNobodyAskedForIsRefusedToAll(address caller, bytes calldata data, int256 amount)
        public
    {
        vm.assume(caller != address(0));
        vm.startPrank(caller);
        expectUnexpected(caller);
        executor.uniswapV3SwapCallback(amount, amount, data);
        expectUnexpected(caller);
        executor.executeOperation(address(debt), uint256(amount), 0, address(executor), data);
        vm.stopPrank();
    }

    // ---------------------------------------------------------------- calls back in the middle

    /// The operator himself, called by a token during a transfer, as a delegated account could be.
    function poke() external {
        executor.sweep(address(debt), 1);
    }

    function pokeStep() external {
        executor.liquidateAave(order());
    }

    function pokeBatch() external {
        executor.batch(new bytes[](0), new uint256[](0), address(debt), 0, block.timestamp);
    }

    function pokeSale() external {
        executor.sell(address(debt), new address[](0), 1);
    }

    function pokeCoins() external {
        executor.refuel(0);
    }

    function assertReentered() private view {
        assertTrue(gold.calls() > 0, "the token called");
        assertTrue(!gold.succeeded(), "it came through");
        assertTrue(bytes4(gold.answer()) == IKeeperExecutor.Reentered.selector, "another reason");
    }

    function test_NotEvenTheOperatorComesInWhileSomethingRuns() public {
        bytes[5] memory ways = [
            abi.encodeCall(this.poke, ()),
            abi.encodeCall(this.pokeStep, ()),
            abi.encodeCall(this.pokeBatch, ()),
            abi.encodeCall(this.pokeSale, ()),
            abi.encodeCall(this.pokeCoins, ())
        ];
        for (uint256 i = 0; i < ways.length; ++i) {
            gold.hook(address(this), ways[i]);
            executor.liquidateAave(order());
            assertReentered();
            bytes[] memory steps = new bytes[](1);
            steps[0] = abi.encodeCall(executor.liquidateAave, (order()));
            uint256[] memory limits = new uint256[](1);
            limits[0] = 5_000_000;
            assertTrue(executor.batch(steps, limits, address(debt), 0, block.timestamp)[0].success, "the step");
            assertReentered();
        }
    }

    function test_ATokenCannotPassForThePoolThatIsTradedWith() public {
        bytes memory data = abi.encode(address(gold), address(gold) < address(debt), uint256(1_100e18));
        gold.hook(address(executor), abi.encodeCall(executor.uniswapV3SwapCallback, (int256(1e18), int256(1e18), data)));
        executor.liquidateAave(order());
        assertTrue(bytes4(gold.answer()) == IKeeperExecutor.Unexpected.selector, "it came through");
    }

    function test_ATokenCannotPassForTheLender() public {
        IKeeperExecutor.AaveLiquidation memory wanted = order();
        wanted.flashLoan = true;
        bytes memory params = abi.encode(wanted);
        gold.hook(
            address(executor),
            abi.encodeCall(executor.executeOperation, (address(debt), 1_000e18, 0, address(executor), params))
        );
        executor.liquidateAave(wanted);
        assertTrue(bytes4(gold.answer()) == IKeeperExecutor.Unexpected.selector, "it came through");
    }

    function test_TheViewsSayTheSameInTheMiddle() public {
        gold.hook(address(executor), abi.encodeCall(executor.operator, ()));
        executor.liquidateAave(order());
        assertTrue(gold.succeeded() && abi.decode(gold.answer(), (address)) == address(this), "operator");
    }

    function test_AfterwardsAndAfterAFailureItIsFreeAgain() public {
        executor.liquidateAave(order());
        lender.setTerms(0, 10_000, 5);
        expectShortfall(address(gold), 0, 1);
        executor.liquidateAave(order());
        lender.setTerms(1.1e18, 10_000, 5);
        executor.liquidateAave(order());
        executor.sweep(address(debt), 1);
    }

    // ---------------------------------------------------------------- a pool that lies

    /// An executor whose factory vouches for a pool that does as it is told.
    function deceived(int256 owed0, int256 owed1, bool foreign, uint256 times) private returns (FalsePool liar) {
        liar = new FalsePool(address(gold), address(debt));
        liar.set(owed0, owed1, foreign, times);
        executor = new KeeperExecutor(treasury, address(this), address(new FalseFactory(address(liar))), nobody);
        debt.mint(address(executor), 1_000_000e18);
    }

    function attempt(FalsePool liar) private {
        executor.liquidateAave(lending(address(gold), address(debt), 1_000e18, through(address(liar))));
    }

    function test_APoolGetsNoMoreThanItWasOffered() public {
        FalsePool liar = deceived(1_100e18 + 1, 0, false, 1);
        expectUnexpected(address(liar));
        attempt(liar);
    }

    function test_APoolGetsNoOtherTokenThanItWasOffered() public {
        FalsePool liar = deceived(0, 1_000e18, false, 1);
        expectUnprofitable(address(debt), -1_000e18, 0); // what the debt cost: it was paid in the token offered, with none
        attempt(liar);
    }

    function test_APoolIsPaidOnce() public {
        FalsePool liar = deceived(1e18, 0, false, 2);
        expectUnexpected(address(liar));
        attempt(liar);
    }

    function test_APoolCannotChangeWhatItWasAskedFor() public {
        FalsePool liar = deceived(1e18, 0, true, 1);
        expectUnexpected(address(liar));
        attempt(liar);
    }

    function test_APoolThatDoesNotCallCannotCallLater() public {
        FalsePool liar = deceived(1e18, 0, false, 0);
        expectUnexpected(address(liar));
        attempt(liar);
    }

    function test_WhatALyingPoolTakesShowsInTheProfit() public {
        FalsePool liar = deceived(1_100e18, 0, false, 1);
        IKeeperExecutor.AaveLiquidation memory wanted =
            lending(address(gold), address(debt), 1_000e18, through(address(liar)));
        expectUnprofitable(address(debt), -1_000e18, 0);
        executor.liquidateAave(wanted);
    }
}
