// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IKeeperExecutor} from "../../src/interfaces/IKeeperExecutor.sol";
import {TestToken} from "../../src/mocks/TestToken.sol";
import {vm} from "../support/Vm.sol";
import {ExecutorTest} from "./support/ExecutorTest.sol";
import {StubPerpetual} from "./support/StubPerpetual.sol";

/// What is asked of Perpetual Protocol v2, in which order, and what may be left there: nothing.
contract PerpetualTest is ExecutorTest {
    TestToken private usd = new TestToken("USDC", 6);
    TestToken private weth = new TestToken("WETH", 18);
    StubPerpetual private perpetual = new StubPerpetual(usd);
    address private constant BTC = address(0xB7C);
    address private constant ETH = address(0xE78);
    address private pool;

    function setUp() public override {
        super.setUp();
        usd.mint(address(executor), 100_000e6);
        usd.mint(address(perpetual), 1e15);
        weth.mint(address(perpetual), 1e30);
        pool = newPool(factory, address(weth), address(usd), 1e20);
    }

    function order(uint256 margin, int256 minProfit)
        private
        view
        returns (IKeeperExecutor.CurieLiquidation memory wanted)
    {
        wanted.clearingHouse = address(perpetual);
        wanted.account = account;
        wanted.baseToken = ETH;
        wanted.size = -3e18;
        wanted.margin = margin;
        wanted.minProfit = minProfit;
        wanted.deadline = block.timestamp;
    }

    function collateral(uint256 amount, int256 minProfit)
        private
        view
        returns (IKeeperExecutor.CurieCollateral memory wanted)
    {
        wanted.vault = address(perpetual);
        wanted.account = account;
        wanted.collateral = address(weth);
        wanted.amount = amount;
        wanted.swap.pools = through(pool);
        wanted.minProfit = minProfit;
        wanted.deadline = block.timestamp;
    }

    function assertSteps(string memory expected) private view {
        assertTrue(keccak256(bytes(perpetual.steps())) == keccak256(bytes(expected)), perpetual.steps());
    }

    // ---------------------------------------------------------------- positions

    function testFuzz_TheLeastProfitIsEnoughAndOneMoreIsNot(uint256 margin, uint256 gain) public {
        margin = bound(margin, 1e6, 100_000e6);
        int256 result = int256(bound(gain, 0, 2e6));
        perpetual.set(result, 0, 0);
        expectUnprofitable(address(usd), result, result + 1);
        executor.liquidateCurie(order(margin, result + 1));
        assertEq(executor.liquidateCurie(order(margin, result)), result, "exactly the least");
        assertEq(int256(usd.balanceOf(address(executor))), 100_000e6 + result, "the balance");
        assertEq(usd.allowance(address(executor), address(perpetual)), 0, "an approval is left");
    }

    function test_TheStepsComeInOrder() public {
        executor.liquidateCurie(order(1_000e6, 0));
        assertSteps("deposit liquidate close withdraw");
    }

    function test_WithoutMarginNothingIsDeposited() public {
        executor.liquidateCurie(order(0, 0));
        assertSteps("liquidate close withdraw");
    }

    function test_OrdersAreCancelledWhereThereAreSome() public {
        perpetual.setOrders(ETH, 2);
        perpetual.setOrders(BTC, 0);
        perpetual.setOrders(address(0x501), 1);
        IKeeperExecutor.CurieLiquidation memory wanted = order(1_000e6, 0);
        wanted.cancelOrders = true;
        executor.liquidateCurie(wanted);
        assertSteps("deposit cancel cancel liquidate close withdraw");
    }

    function testFuzz_APositionThatIsLeftIsToldWithItsSize(int256 left) public {
        vm.assume(left != 0);
        perpetual.set(5e6, left, 0);
        vm.expectRevert(abi.encodeWithSelector(IKeeperExecutor.PositionLeft.selector, ETH, left));
        executor.liquidateCurie(order(1_000e6, 0));
    }

    function testFuzz_MarginOrDebtThatIsLeftIsToldWithItsValue(int256 left) public {
        vm.assume(left != 0);
        perpetual.set(5e6, 0, left);
        vm.expectRevert(abi.encodeWithSelector(IKeeperExecutor.MarginLeft.selector, left));
        executor.liquidateCurie(order(1_000e6, 0));
    }

    // ---------------------------------------------------------------- collateral

    function testFuzz_CollateralIsBoughtAndSoldForAtLeastThat(uint256 amount, uint256 bonus) public {
        amount = bound(amount, 1e6, 50_000e6);
        perpetual.set(int256(amount * bound(bonus, 500, 2_000) / 10_000), 0, 0);
        uint256 state = vm.snapshotState();
        int256 profit = executor.liquidateCurieCollateral(collateral(amount, 0));
        assertEq(int256(usd.balanceOf(address(executor))), 100_000e6 + profit, "the balance");
        assertEq(usd.allowance(address(executor), address(perpetual)), 0, "an approval is left");
        vm.revertToState(state);
        expectUnprofitable(address(usd), profit, profit + 1);
        executor.liquidateCurieCollateral(collateral(amount, profit + 1));
        assertEq(executor.liquidateCurieCollateral(collateral(amount, profit)), profit, "exactly the least");
    }
}
