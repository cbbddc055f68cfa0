// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IKeeperExecutor} from "../../src/interfaces/IKeeperExecutor.sol";
import {MoodyToken} from "../../src/mocks/MoodyToken.sol";
import {TestToken} from "../../src/mocks/TestToken.sol";
import {vm} from "../support/Vm.sol";
import {ExecutorTest} from "./support/ExecutorTest.sol";
import {StubLender} from "./support/StubLender.sol";
import {FalseToken, MuteToken} from "./support/Tokens.sol";

/// Repay, take, sell, keep: from own funds and from a flash loan, through Uniswap v3.
contract LendingTest is ExecutorTest {
    MoodyToken private debt = new MoodyToken("USD", 18);
    MoodyToken private gold = new MoodyToken("GOLD", 18);
    MoodyToken private between = new MoodyToken("BETWEEN", 18);
    address private pool;
    address private first;
    address private second;

    function setUp() public override {
        super.setUp();
        pool = newPool(factory, address(gold), address(debt), 1e24);
        first = newPool(factory, address(gold), address(between), 1e24);
        second = newPool(factory, address(between), address(debt), 1e24);
        debt.mint(address(executor), 1_000_000e18);
        debt.mint(address(lender), 1e30);
        gold.mint(address(lender), 1e30);
    }

    function order(uint256 repay) private view returns (IKeeperExecutor.AaveLiquidation memory) {
        return lending(address(gold), address(debt), repay, through(pool));
    }

    function assertNothingLeft() private view {
        assertEq(debt.allowance(address(executor), address(lender)), 0, "an approval is left");
        assertEq(gold.balanceOf(address(executor)), 0, "collateral is left");
    }

    // ---------------------------------------------------------------- profit, to the wei

    function testFuzz_ProfitIsTheGrowthOfTheBalance(uint256 repay, uint256 bonus, bool flash, bool hops) public {
        lender.setTerms(bound(bonus, 1.02e18, 1.3e18), 10_000, 5);
        IKeeperExecutor.AaveLiquidation memory wanted = order(bound(repay, 1e6, 1_000e18));
        wanted.flashLoan = flash;
        if (hops) wanted.swap.pools = through(first, second);
        uint256 before = debt.balanceOf(address(executor));
        int256 profit = executor.liquidateAave(wanted);
        assertEq(int256(debt.balanceOf(address(executor))) - int256(before), profit, "the balance");
        assertNothingLeft();
    }

    function testFuzz_TheLeastProfitIsEnoughAndOneMoreIsNot(uint256 repay, uint256 bonus, uint256 taken, bool flash)
        public
    {
        lender.setTerms(bound(bonus, 1.02e18, 1.3e18), bound(taken, 5_000, 10_000), bound(taken, 0, 30));
        IKeeperExecutor.AaveLiquidation memory wanted = order(bound(repay, 1e6, 1_000e18));
        wanted.flashLoan = flash;
        uint256 state = vm.snapshotState();
        int256 profit = executor.liquidateAave(wanted);

        vm.revertToState(state);
        wanted.minProfit = profit;
        assertEq(executor.liquidateAave(wanted), profit, "exactly the least");

        vm.revertToState(state);
        wanted.minProfit = profit + 1;
        expectUnprofitable(address(debt), profit, profit + 1);
        executor.liquidateAave(wanted);
    }

    function test_AFlashLoanNeedsNoTokensOfItsOwn() public {
        lender.setTerms(1.1e18, 10_000, 5);
        executor.sweep(address(debt), debt.balanceOf(address(executor)));
        IKeeperExecutor.AaveLiquidation memory wanted = order(1_000e18);
        (wanted.flashLoan, wanted.minProfit) = (true, 1);
        int256 profit = executor.liquidateAave(wanted);
        assertEq(int256(debt.balanceOf(address(executor))), profit, "only the profit");
        assertNothingLeft();
    }

    function test_AFlashLoanThatCostsMoreThanItEarnsIsRefused() public {
        lender.setTerms(1.1e18, 10_000, 2_000);
        IKeeperExecutor.AaveLiquidation memory wanted = order(1_000e18);
        (wanted.flashLoan, wanted.minProfit) = (true, 0);
        vm.expectPartialRevert(IKeeperExecutor.Unprofitable.selector);
        executor.liquidateAave(wanted);
    }

    function test_ALossIsRefusedAndNoOrderCanAllowOne() public {
        lender.setTerms(0.9e18, 10_000, 5);
        vm.expectPartialRevert(IKeeperExecutor.Unprofitable.selector);
        executor.liquidateAave(order(1_000e18));
        IKeeperExecutor.AaveLiquidation memory wanted = order(1_000e18);
        wanted.minProfit = -1;
        vm.expectRevert(abi.encodeWithSelector(IKeeperExecutor.BelowFloor.selector, address(debt), int256(-1), 0));
        executor.liquidateAave(wanted);
    }

    function test_WhatThePoolDoesNotTakeStaysAndIsNotApproved() public {
        lender.setTerms(1.1e18, 4_000, 5);
        executor.liquidateAave(order(1_000e18));
        assertNothingLeft();
    }

    function test_TheDebtTokenAsCollateralIsNotSold() public {
        lender.setTerms(1.05e18, 10_000, 5);
        address[] memory none;
        IKeeperExecutor.AaveLiquidation memory wanted = lending(address(debt), address(debt), 1_000e18, none);
        wanted.minProfit = 50e18;
        assertEq(executor.liquidateAave(wanted), 50e18, "the bonus");
        (wanted.flashLoan, wanted.minProfit) = (true, 49.5e18);
        assertEq(executor.liquidateAave(wanted), 49.5e18, "the bonus less the premium");
    }

    function test_OnlyWhatTheLiquidationGaveIsSold() public {
        gold.mint(address(executor), 77e18);
        lender.setTerms(1.1e18, 10_000, 5);
        executor.liquidateAave(order(1_000e18));
        assertEq(gold.balanceOf(address(executor)), 77e18, "what was there before");
    }

    // ---------------------------------------------------------------- swaps

    function test_TooLittleOutOfTheSwapIsToldWithNumbers() public {
        lender.setTerms(1.1e18, 10_000, 5);
        IKeeperExecutor.AaveLiquidation memory wanted = order(1_000e18);
        uint256 state = vm.snapshotState();
        uint256 got = uint256(executor.liquidateAave(wanted)) + 1_000e18;
        vm.revertToState(state);
        wanted.swap.minOut = got;
        executor.liquidateAave(wanted);
        vm.revertToState(state);
        wanted.swap.minOut = got + 1;
        expectShortfall(address(debt), got, got + 1);
        executor.liquidateAave(wanted);
    }

    function test_APoolOfAnotherFactoryIsRefused() public {
        address foreign = newPool(newFactory(), address(gold), address(debt), 1e24);
        IKeeperExecutor.AaveLiquidation memory wanted = order(1_000e18);
        wanted.swap.pools = through(foreign);
        vm.expectRevert(abi.encodeWithSelector(IKeeperExecutor.NotAPool.selector, foreign));
        executor.liquidateAave(wanted);
    }

    function test_APoolThatRunsOutIsToldWithNumbers() public {
        MoodyToken rare = new MoodyToken("RARE", 18);
        rare.mint(address(lender), 1e30);
        address empty = newPool(factory, address(rare), address(debt), 0);
        expectShortfall(address(rare), 0, 1_000e18);
        executor.liquidateAave(lending(address(rare), address(debt), 1_000e18, through(empty)));
    }

    function test_PoolsOfOtherTokensAndRoutesToElsewhereAreRefused() public {
        IKeeperExecutor.AaveLiquidation memory wanted = order(1_000e18);
        wanted.swap.pools = through(second);
        vm.expectRevert(abi.encodeWithSelector(IKeeperExecutor.NotAPool.selector, second));
        executor.liquidateAave(wanted);

        wanted.swap.pools = through(first);
        vm.expectRevert(abi.encodeWithSelector(IKeeperExecutor.BadRoute.selector, address(between), address(debt)));
        executor.liquidateAave(wanted);

        delete wanted.swap.pools;
        vm.expectRevert(abi.encodeWithSelector(IKeeperExecutor.BadRoute.selector, address(gold), address(debt)));
        executor.liquidateAave(wanted);
    }

    function test_ALiquidationThatGivesNothingIsToldSo() public {
        lender.setTerms(0, 10_000, 5);
        expectShortfall(address(gold), 0, 1);
        executor.liquidateAave(order(1_000e18));
    }

    // ---------------------------------------------------------------- what others revert with, unchanged

    function testFuzz_TheProtocolsReasonComesThroughUnchanged(bytes calldata reason, bool flash) public {
        vm.assume(reason.length != 0);
        lender.setReason(reason);
        IKeeperExecutor.AaveLiquidation memory wanted = order(1_000e18);
        wanted.flashLoan = flash;
        vm.expectRevert(reason);
        executor.liquidateAave(wanted);
    }

    // ---------------------------------------------------------------- tokens

    function test_ATokenWithAFeeIsCountedByWhatArrives() public {
        debt.setFee(100);
        lender.setTerms(1.3e18, 10_000, 0);
        uint256 before = debt.balanceOf(address(executor));
        int256 profit = executor.liquidateAave(order(1_000e18));
        assertEq(int256(debt.balanceOf(address(executor))) - int256(before), profit, "the balance");
        assertNothingLeft();
    }

    function test_CollateralWithAFeeCannotBePaidToUniswapWhichSaysSo() public {
        gold.setFee(100);
        vm.expectRevert(abi.encodeWithSignature("Error(string)", "IIA"));
        executor.liquidateAave(order(1_000e18));
    }

    function test_ATokenThatReturnsNothingIsUsedLikeOthers() public {
        MuteToken mute = new MuteToken();
        mute.mint(address(executor), 2_000e6);
        mute.mint(address(lender), 1e30);
        address mutePool = newPool(factory, address(gold), address(mute), 1e24);
        lender.setTerms(1.1e18, 5_000, 5);
        IKeeperExecutor.AaveLiquidation memory wanted =
            lending(address(gold), address(mute), 1_000e6, through(mutePool));
        wanted.minProfit = 1;
        executor.liquidateAave(wanted);
        wanted.flashLoan = true;
        executor.liquidateAave(wanted); // an approval that was left would make this one fail
        assertEq(mute.allowance(address(executor), address(lender)), 0, "an approval is left");
        executor.sweep(address(mute), mute.balanceOf(address(executor)));
    }

    function test_ATokenThatSaysFalseIsNotBelieved() public {
        FalseToken liar = new FalseToken();
        liar.mint(address(executor), 1_000e18);
        liar.refuse(true);
        bytes memory failed = abi.encodeWithSignature("SafeERC20FailedOperation(address)", address(liar));
        vm.expectRevert(failed);
        executor.liquidateAave(lending(address(gold), address(liar), 1_000e18, through(pool)));
        vm.expectRevert(failed);
        executor.sweep(address(liar), 1);
    }

    // ---------------------------------------------------------------- a lender that lies

    function test_ALenderThatBreaksTheRulesOfTheLoanIsRefused() public {
        StubLender.Mood[6] memory moods = [
            StubLender.Mood.NeverCalls,
            StubLender.Mood.CallsTwice,
            StubLender.Mood.OtherAsset,
            StubLender.Mood.OtherAmount,
            StubLender.Mood.OtherInitiator,
            StubLender.Mood.OtherParams
        ];
        IKeeperExecutor.AaveLiquidation memory wanted = order(1_000e18);
        wanted.flashLoan = true;
        for (uint256 i = 0; i < moods.length; ++i) {
            lender.set(moods[i]);
            expectUnexpected(address(lender));
            executor.liquidateAave(wanted);
        }
    }

    function test_NobodyTakesMoreThanWasOffered() public {
        lender.set(StubLender.Mood.TakesTooMuch);
        vm.expectPartialRevert(bytes4(keccak256("ERC20InsufficientAllowance(address,uint256,uint256)")));
        executor.liquidateAave(order(1_000e18));
    }
}
