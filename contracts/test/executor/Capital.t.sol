// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {KeeperExecutor} from "../../src/KeeperExecutor.sol";
import {IKeeperExecutor} from "../../src/interfaces/IKeeperExecutor.sol";
import {TestToken} from "../../src/mocks/TestToken.sol";
import {vm} from "../support/Vm.sol";
import {ExecutorTest} from "./support/ExecutorTest.sol";
import {HookToken} from "./support/Tokens.sol";
import {FakeMarket} from "./support/FakeMarket.sol";

/// The wrapped coin, as WETH9: it pays with 2,300 gas.
contract Wrapped is TestToken {
    constructor() TestToken("WETH", 18) {}

    function deposit() external payable {
        _mint(msg.sender, msg.value);
    }

    function withdraw(uint256 amount) external {
        _burn(msg.sender, amount);
        payable(msg.sender).transfer(amount);
    }
}

/// How capital leaves, and how it does not: sales, payments to the treasury, coins for gas. This test is the operator.
contract CapitalTest is ExecutorTest {
    TestToken private usd = new TestToken("USD", 18);
    TestToken private gold = new TestToken("GOLD", 18);
    HookToken private hook = new HookToken();
    Wrapped private weth = new Wrapped();
    address private pool;
    address private hookPool;
    bool private closed;

    function setUp() public override {
        super.setUp();
        pool = newPool(factory, address(gold), address(usd), 1e26);
        hookPool = newPool(factory, address(hook), address(usd), 1e26);
        executor = new KeeperExecutor(treasury, address(this), address(factory), address(weth));
        usd.mint(address(executor), 1_000e18);
        gold.mint(address(executor), 10e18);
        vm.startPrank(treasury);
        executor.setHeld(address(usd), true);
        executor.setGasBound(3 ether);
        vm.stopPrank();
        vm.warp(1_700_000_000);
    }

    receive() external payable {
        require(!closed, "closed");
    }

    function expectHeld(address token) private {
        vm.expectRevert(abi.encodeWithSelector(IKeeperExecutor.Held.selector, token));
    }

    function expectNotHeld(address token) private {
        vm.expectRevert(abi.encodeWithSelector(IKeeperExecutor.NotHeld.selector, token));
    }

    function expectAboveBound(uint256 amount, uint256 left) private {
        vm.expectRevert(abi.encodeWithSelector(IKeeperExecutor.AboveGasBound.selector, amount, left));
    }

    // ---------------------------------------------------------------- sales

    function test_AllOfATokenIsSoldIntoOneOfTheListAndLogged() public {
        uint256 state = vm.snapshotState();
        uint256 received = executor.sell(address(gold), through(pool), 1);
        vm.revertToState(state);
        vm.expectEmit(address(executor));
        emit IKeeperExecutor.Sold(address(gold), address(usd), 10e18, received);
        executor.sell(address(gold), through(pool), received);
        assertEq(usd.balanceOf(address(executor)), 1_000e18 + received, "received");
        assertEq(gold.balanceOf(address(executor)), 0, "all of it");
    }

    function test_ASaleBelowItsLeastIsRefusedAndSoIsOneWithoutALeast() public {
        uint256 state = vm.snapshotState();
        uint256 received = executor.sell(address(gold), through(pool), 1);
        vm.revertToState(state);
        expectShortfall(address(usd), received, received + 1);
        executor.sell(address(gold), through(pool), received + 1);
        vm.expectRevert(IKeeperExecutor.NoLeast.selector);
        executor.sell(address(gold), through(pool), 0);
        expectShortfall(address(weth), 0, 1);
        executor.sell(address(weth), through(pool), 1);
    }

    function test_CapitalIsSoldByTheTreasuryAlone() public {
        vm.prank(treasury);
        executor.setHeld(address(gold), true);
        expectHeld(address(usd));
        executor.sell(address(usd), through(pool), 1);
        vm.prank(treasury);
        executor.sell(address(usd), through(pool), 1);
        assertEq(usd.balanceOf(address(executor)), 0, "sold");
    }

    function test_NothingIsSoldIntoWhatIsNotOfTheList() public {
        vm.prank(treasury);
        executor.setHeld(address(usd), false);
        expectNotHeld(address(usd));
        executor.sell(address(gold), through(pool), 1);
        expectNotHeld(address(gold));
        executor.sell(address(gold), new address[](0), 1);
        vm.startPrank(treasury);
        executor.setHeld(address(gold), true);
        expectNotHeld(address(gold)); // a token is not sold into itself
        executor.sell(address(gold), new address[](0), 1);
        expectNotHeld(address(gold));
        executor.sell(address(gold), through(pool, pool), 1);
        vm.stopPrank();
    }

    function test_APoolOfTheThiefsOwnFactoryIsRefused() public {
        address foreign = newPool(newFactory(), address(gold), address(usd), 1e24);
        vm.expectRevert(abi.encodeWithSelector(IKeeperExecutor.NotAPool.selector, foreign));
        executor.sell(address(gold), through(foreign), 1);
    }

    function test_ATokenThatCallsBackDuringASaleComesToNothing() public {
        hook.mint(address(executor), 10e18);
        bytes[4] memory ways = [
            abi.encodeCall(this.again, (abi.encodeCall(executor.sweep, (address(usd), 1)))),
            abi.encodeCall(this.again, (abi.encodeCall(executor.sell, (address(gold), through(pool), 1)))),
            abi.encodeCall(this.again, (abi.encodeCall(executor.refuel, (1)))),
            abi.encodeCall(
                this.again,
                (abi.encodeCall(executor.batch, (new bytes[](0), new uint256[](0), address(usd), 0, block.timestamp)))
            )
        ];
        for (uint256 i = 0; i < ways.length; ++i) {
            uint256 state = vm.snapshotState();
            hook.hook(address(this), ways[i]);
            executor.sell(address(hook), through(hookPool), 1);
            assertTrue(hook.calls() > 0 && !hook.succeeded(), "it came through");
            assertTrue(bytes4(hook.answer()) == IKeeperExecutor.Reentered.selector, "another reason");
            vm.revertToState(state);
        }
    }

    function again(bytes calldata data) external {
        (bool done, bytes memory answer) = address(executor).call(data);
        if (done) return;
        assembly ("memory-safe") {
            revert(add(answer, 32), mload(answer))
        }
    }

    function test_ATokenThatCallsBackDuringASweepFindsTheTreasuryShutOut() public {
        hook.mint(address(executor), 10e18);
        hook.hook(address(this), abi.encodeCall(this.again, (abi.encodeCall(executor.sweep, (address(usd), 1)))));
        executor.sweep(address(hook), 10e18);
        assertTrue(bytes4(hook.answer()) == IKeeperExecutor.Reentered.selector, "it came through");
        assertEq(hook.balanceOf(treasury), 10e18, "swept");
    }

    // ---------------------------------------------------------------- sweeps

    function testFuzz_SweptTokensAndCoinsGoToTheTreasury(uint256 amount, bool byTreasury) public {
        amount = bound(amount, 0, 1_000e18);
        vm.deal(address(executor), 1_000e18);
        address caller = byTreasury ? treasury : address(this);
        vm.startPrank(caller);
        vm.expectEmit(address(executor));
        emit IKeeperExecutor.Swept(address(usd), amount);
        executor.sweep(address(usd), amount);
        vm.expectEmit(address(executor));
        emit IKeeperExecutor.Swept(nobody, amount);
        executor.sweep(nobody, amount);
        vm.stopPrank();
        assertEq(usd.balanceOf(treasury), amount, "tokens");
        assertEq(treasury.balance, amount, "coins");
    }

    function test_MoreThanThereIsIsNotSwept() public {
        vm.expectRevert(abi.encodeWithSelector(IKeeperExecutor.PaymentFailed.selector, treasury));
        executor.sweep(nobody, 1);
        vm.expectRevert();
        executor.sweep(address(usd), 1_000e18 + 1);
    }

    function test_ANewTreasuryIsPaidFromThen() public {
        vm.prank(treasury);
        executor.offerTreasury(stranger);
        executor.sweep(address(usd), 1e18);
        assertEq(usd.balanceOf(treasury), 1e18, "the old one, before it is accepted");
        vm.prank(stranger);
        executor.acceptTreasury();
        executor.sweep(address(usd), 1e18);
        assertEq(usd.balanceOf(stranger), 1e18, "the new one");
    }

    // ---------------------------------------------------------------- coins for gas

    function test_CoinsGoToTheOperatorAndWhatIsMissingIsUnwrapped() public {
        vm.deal(address(this), 5 ether);
        weth.deposit{value: 5 ether}();
        weth.transfer(address(executor), 5 ether);
        vm.deal(address(executor), 1 ether);
        vm.deal(address(this), 0);
        vm.expectEmit(address(executor));
        emit IKeeperExecutor.Unwrapped(1.5 ether);
        vm.expectEmit(address(executor));
        emit IKeeperExecutor.Refuelled(2.5 ether);
        executor.refuel(2.5 ether);
        assertEq(address(this).balance, 2.5 ether, "paid");
        assertEq(weth.balanceOf(address(executor)), 3.5 ether, "unwrapped no more than was missing");
        assertEq(executor.gasLeftToday(), 0.5 ether, "left");
    }

    function testFuzz_NoMoreThanTheBoundLeavesInADay(uint256 first, uint256 second, uint256 at) public {
        vm.deal(address(executor), 1_000 ether);
        uint256 day = 1_700_000_000 / uint256(1 days) * 1 days;
        at = bound(at, 0, 1 days - 1);
        vm.warp(day + at);
        first = bound(first, 0, 3 ether);
        executor.refuel(first);
        second = 3 ether - first;
        expectAboveBound(second + 1, second);
        executor.refuel(second + 1);
        executor.refuel(second);
        vm.warp(day + 1 days - 1);
        expectAboveBound(1, 0);
        executor.refuel(1);
        vm.warp(day + 1 days);
        assertEq(executor.gasLeftToday(), 3 ether, "a new day");
        executor.refuel(3 ether);
        expectAboveBound(1, 0);
        executor.refuel(1);
    }

    function test_ALowerBoundHoldsAtOnceAndForgetsNothing() public {
        vm.deal(address(executor), 10 ether);
        executor.refuel(2 ether);
        vm.prank(treasury);
        executor.setGasBound(1 ether);
        expectAboveBound(1, 0);
        executor.refuel(1);
        executor.refuel(0);
        vm.prank(treasury);
        executor.setGasBound(2.5 ether);
        expectAboveBound(1 ether, 0.5 ether);
        executor.refuel(1 ether);
    }

    function test_WithoutABoundNothingLeaves() public {
        executor = new KeeperExecutor(treasury, address(this), address(factory), address(weth));
        vm.deal(address(executor), 1 ether);
        expectAboveBound(1, 0);
        executor.refuel(1);
    }

    function test_WhereNothingIsWrappedOnlyCoinsLeave() public {
        executor = new KeeperExecutor(treasury, address(this), address(factory), nobody);
        vm.prank(treasury);
        executor.setGasBound(3 ether);
        vm.deal(address(executor), 1 ether);
        executor.refuel(1 ether);
        expectShortfall(nobody, 0, 1);
        executor.refuel(1);
    }

    function test_AnOperatorThatRefusesCoinsGetsNoneAndUsesNothingUp() public {
        vm.deal(address(executor), 1 ether);
        closed = true;
        vm.expectRevert(abi.encodeWithSelector(IKeeperExecutor.PaymentFailed.selector, address(this)));
        executor.refuel(1 ether);
        assertEq(executor.gasLeftToday(), 3 ether, "left");
    }

    // ---------------------------------------------------------------- a market of the thief's own

    /// A clearing house and vault of his take what they are allowed, return less, and call back.
    function testFuzz_AFakeMarketCannotTakeCapital(uint256 margin, uint256 back, uint8 which) public {
        FakeMarket fake = new FakeMarket(usd);
        margin = bound(margin, 1, 1_000e18);
        fake.set(
            bound(back, 0, margin - 1), which % 3 == 0 ? abi.encodeCall(executor.sweep, (address(usd), 1)) : bytes("")
        );
        IKeeperExecutor.CurieLiquidation memory order;
        (order.clearingHouse, order.margin, order.deadline) = (address(fake), margin, block.timestamp);
        vm.expectPartialRevert(IKeeperExecutor.Unprofitable.selector);
        executor.liquidateCurie(order);
        IKeeperExecutor.CurieCollateral memory collateral;
        (collateral.vault, collateral.collateral, collateral.amount) = (address(fake), address(gold), margin);
        (collateral.swap.pools, collateral.deadline) = (through(pool), block.timestamp);
        (bool done,) = address(executor).call(abi.encodeCall(executor.liquidateCurieCollateral, (collateral)));
        assertTrue(!done, "it gave no collateral");
        assertEq(usd.balanceOf(address(executor)), 1_000e18, "capital");
        assertEq(usd.allowance(address(executor), address(fake)), 0, "an approval is left");
    }
}
