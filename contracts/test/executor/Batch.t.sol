// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IKeeperExecutor} from "../../src/interfaces/IKeeperExecutor.sol";
import {TestToken} from "../../src/mocks/TestToken.sol";
import {vm} from "../support/Vm.sol";
import {ExecutorTest} from "./support/ExecutorTest.sol";
import {StubLender} from "./support/StubLender.sol";

/// Uses all the gas that it gets.
contract Spinner {
    function liquidationCall(address, address, address, uint256, bool) external pure {
        while (true) {}
    }
}

/// Several liquidations in one transaction: each is told apart, and all are undone when together they do not pay.
contract BatchTest is ExecutorTest {
    uint256 private constant ENOUGH = 600_000; // gas for one step
    TestToken private debt = new TestToken("USD", 18);
    TestToken private gold = new TestToken("GOLD", 18);
    StubLender private poor = new StubLender();
    address private pool;

    function setUp() public override {
        super.setUp();
        pool = newPool(factory, address(gold), address(debt), 1e26);
        debt.mint(address(executor), 1_000_000e18);
        gold.mint(address(lender), 1e30);
        lender.setTerms(1.1e18, 10_000, 5);
    }

    function step(uint256 repay, int256 minProfit) private view returns (bytes memory) {
        IKeeperExecutor.AaveLiquidation memory order = lending(address(gold), address(debt), repay, through(pool));
        order.minProfit = minProfit;
        return abi.encodeCall(executor.liquidateAave, (order));
    }

    function with(address lender_) private view returns (bytes memory) {
        IKeeperExecutor.AaveLiquidation memory order = lending(address(gold), address(debt), 1_000e18, through(pool));
        order.pool = lender_;
        return abi.encodeCall(executor.liquidateAave, (order));
    }

    function limits(uint256 count) private pure returns (uint256[] memory each) {
        each = new uint256[](count);
        for (uint256 i = 0; i < count; ++i) {
            each[i] = ENOUGH;
        }
    }

    function run(bytes[] memory steps, int256 minProfit) private returns (IKeeperExecutor.Outcome[] memory) {
        return executor.batch(steps, limits(steps.length), address(debt), minProfit, block.timestamp);
    }

    // ---------------------------------------------------------------- each step apart

    function test_AFailedStepIsToldAndUndoneAlone() public {
        poor.setReason(abi.encodeWithSelector(StubLender.Moody.selector, 7));
        bytes[] memory steps = new bytes[](4);
        steps[0] = step(1_000e18, 0);
        steps[1] = with(address(poor));
        steps[2] = step(1_000e18, 1_000e18); // asks too much
        steps[3] = step(2_000e18, 0);
        uint256 before = debt.balanceOf(address(executor));
        vm.expectEmit(address(executor));
        emit IKeeperExecutor.StepFailed(1, abi.encodeWithSelector(StubLender.Moody.selector, 7));
        IKeeperExecutor.Outcome[] memory outcomes = run(steps, 1);

        assertTrue(outcomes[0].success && outcomes[3].success, "the good ones");
        assertTrue(!outcomes[1].success && !outcomes[2].success, "the bad ones");
        assertTrue(bytes4(outcomes[1].reason) == StubLender.Moody.selector, "the lender's reason");
        assertTrue(bytes4(outcomes[2].reason) == IKeeperExecutor.Unprofitable.selector, "our own reason");
        int256 grown = int256(debt.balanceOf(address(executor))) - int256(before);
        assertEq(grown, outcomes[0].profit + outcomes[3].profit, "the profits add up");
        assertEq(debt.allowance(address(executor), address(poor)), 0, "an approval is left");
        assertTrue(outcomes[0].gasUsed > 50_000 && outcomes[0].gasUsed < ENOUGH + 20_000, "gas used");
    }

    function testFuzz_TheSumDecides(uint256 a, uint256 b) public {
        bytes[] memory steps = new bytes[](2);
        steps[0] = step(bound(a, 1e6, 50_000e18), 0);
        steps[1] = step(bound(b, 1e6, 50_000e18), 0);
        uint256 state = vm.snapshotState();
        IKeeperExecutor.Outcome[] memory outcomes = run(steps, 0);
        int256 sum = outcomes[0].profit + outcomes[1].profit;
        vm.revertToState(state);
        uint256 before = debt.balanceOf(address(executor));
        expectUnprofitable(address(debt), sum, sum + 1);
        run(steps, sum + 1);
        assertEq(debt.balanceOf(address(executor)), before, "all are undone");
        run(steps, sum);
    }

    function test_ABatchOfFailuresPaysNothingAndIsRefused() public {
        poor.setReason("no");
        bytes[] memory steps = new bytes[](1);
        steps[0] = with(address(poor));
        expectUnprofitable(address(debt), 0, 1);
        run(steps, 1);
        run(steps, 0);
    }

    function test_ALongReasonIsCutAndCostsTheOthersNothing() public {
        poor.setReason(new bytes(20_000));
        bytes[] memory steps = new bytes[](2);
        steps[0] = with(address(poor));
        steps[1] = step(1_000e18, 1);
        IKeeperExecutor.Outcome[] memory outcomes = run(steps, 1);
        assertEq(outcomes[0].reason.length, 1024, "cut");
        assertTrue(outcomes[1].success, "the other one");
    }

    // ---------------------------------------------------------------- what a step may be

    function test_AStepCanOnlyLiquidate() public {
        bytes[] memory steps = new bytes[](5);
        steps[0] = abi.encodeCall(executor.sweep, (address(debt), 1));
        steps[1] = abi.encodeCall(
            executor.batch, (new bytes[](0), new uint256[](0), address(debt), int256(0), block.timestamp)
        );
        steps[2] = abi.encodeCall(executor.uniswapV3SwapCallback, (int256(1), int256(1), ""));
        steps[3] = hex"";
        steps[4] = abi.encodeCall(debt.transfer, (stranger, 1));
        IKeeperExecutor.Outcome[] memory outcomes = run(steps, 0);
        assertTrue(bytes4(outcomes[0].reason) == IKeeperExecutor.NotOperator.selector, "sweep");
        assertTrue(bytes4(outcomes[1].reason) == IKeeperExecutor.NotOperator.selector, "batch");
        assertTrue(bytes4(outcomes[2].reason) == IKeeperExecutor.Unexpected.selector, "callback");
        assertTrue(!outcomes[3].success && !outcomes[4].success, "others");
    }

    function test_EachStepHasItsGasLimit() public {
        bytes[] memory steps = new bytes[](1);
        vm.expectRevert(IKeeperExecutor.BadBatch.selector);
        executor.batch(steps, new uint256[](2), address(debt), 0, block.timestamp);
    }

    // ---------------------------------------------------------------- gas

    function test_AStepThatBurnsItsGasLeavesTheOthersTheirs() public {
        bytes[] memory steps = new bytes[](3);
        steps[0] = with(address(new Spinner()));
        steps[1] = step(1_000e18, 1);
        steps[2] = step(1_000e18, 1);
        IKeeperExecutor.Outcome[] memory outcomes =
            executor.batch{gas: 3 * ENOUGH + 200_000}(steps, limits(3), address(debt), 1, block.timestamp);
        assertTrue(!outcomes[0].success && outcomes[1].success && outcomes[2].success, "only the first");
        assertTrue(outcomes[0].gasUsed < ENOUGH + 20_000, "no more than its own");
    }

    function testFuzz_WithTooLittleGasStepsAreSkippedAndToldOrAllFails(uint256 gas) public {
        bytes[] memory steps = new bytes[](6);
        for (uint256 i = 0; i < steps.length; ++i) {
            steps[i] = step(1_000e18, 1);
        }
        gas = bound(gas, 100_000, 3_000_000);
        uint256 before = debt.balanceOf(address(executor));
        try executor.batch{gas: gas}(steps, limits(6), address(debt), 0, block.timestamp) returns (
            IKeeperExecutor.Outcome[] memory outcomes
        ) {
            int256 sum;
            for (uint256 i = 0; i < outcomes.length; ++i) {
                sum += outcomes[i].profit;
                if (outcomes[i].success) continue;
                assertTrue(bytes4(outcomes[i].reason) == IKeeperExecutor.TooLittleGas.selector, "another reason");
            }
            assertEq(int256(debt.balanceOf(address(executor)) - before), sum, "the balance");
        } catch {
            assertTrue(gas < 200_000, "it did not get to its end");
            assertEq(debt.balanceOf(address(executor)), before, "all is undone");
        }
    }
}
