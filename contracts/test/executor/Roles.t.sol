// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {KeeperExecutor} from "../../src/KeeperExecutor.sol";
import {IKeeperExecutor} from "../../src/interfaces/IKeeperExecutor.sol";
import {TestToken} from "../../src/mocks/TestToken.sol";
import {vm} from "../support/Vm.sol";
import {ExecutorTest} from "./support/ExecutorTest.sol";

/// Who may do what: the treasury owns and decides, the operator works within its limits. This test is the operator.
contract RolesTest is ExecutorTest {
    TestToken private debt = new TestToken("USD", 18);
    TestToken private gold = new TestToken("GOLD", 18);
    address private pool;
    address private heir = address(0x4E1);

    function setUp() public override {
        super.setUp();
        pool = newPool(factory, address(gold), address(debt), 1e26);
        debt.mint(address(executor), 1_000_000e18);
        gold.mint(address(lender), 1e30);
        lender.setTerms(1.1e18, 10_000, 5);
    }

    function order() private view returns (IKeeperExecutor.AaveLiquidation memory) {
        return lending(address(gold), address(debt), 1_000e18, through(pool));
    }

    function onlyTreasury(address caller) private {
        vm.expectRevert(abi.encodeWithSelector(IKeeperExecutor.NotTreasury.selector, caller));
    }

    // ---------------------------------------------------------------- who decides

    function testFuzz_OnlyTheTreasuryDecides(address caller) public {
        vm.assume(caller != treasury);
        if (uint160(caller) % 2 == 0) caller = address(this); // the operator, in half of the cases
        vm.startPrank(caller);
        onlyTreasury(caller);
        executor.offerTreasury(caller);
        onlyTreasury(caller);
        executor.acceptTreasury();
        onlyTreasury(caller);
        executor.setOperator(caller);
        onlyTreasury(caller);
        executor.setFloor(address(debt), 0);
        onlyTreasury(caller);
        executor.setHeld(address(debt), false);
        onlyTreasury(caller);
        executor.setGasBound(type(uint112).max);
        vm.stopPrank();
    }

    function testFuzz_WhatTheTreasuryDecidesHoldsAndIsLogged(address token, uint256 units, uint112 coins) public {
        vm.startPrank(treasury);
        vm.expectEmit(address(executor));
        emit IKeeperExecutor.FloorChanged(token, units);
        executor.setFloor(token, units);
        vm.expectEmit(address(executor));
        emit IKeeperExecutor.HeldChanged(token, true);
        executor.setHeld(token, true);
        vm.expectEmit(address(executor));
        emit IKeeperExecutor.GasBoundChanged(coins);
        executor.setGasBound(coins);
        vm.expectEmit(address(executor));
        emit IKeeperExecutor.OperatorChanged(address(this), heir);
        executor.setOperator(heir);
        vm.stopPrank();
        assertEq(executor.floor(token), units, "floor");
        assertTrue(executor.held(token), "held");
        assertEq(executor.gasBound(), coins, "gas bound");
        assertTrue(executor.operator() == heir, "operator");
    }

    function test_AtFirstNothingIsSetAndTheVersionIsKnown() public view {
        assertEq(executor.version(), 2, "version");
        assertEq(executor.floor(address(debt)), 0, "floor");
        assertTrue(!executor.held(address(debt)), "held");
        assertEq(executor.gasBound(), 0, "gas bound");
        assertTrue(executor.treasury() == treasury && executor.operator() == address(this), "roles");
        assertTrue(executor.pendingTreasury() == nobody && executor.factory() == address(factory), "others");
    }

    function test_ANewOperatorWorksAndTheOldOneDoesNot() public {
        vm.prank(treasury);
        executor.setOperator(heir);
        vm.expectRevert(abi.encodeWithSelector(IKeeperExecutor.NotOperator.selector, address(this)));
        executor.liquidateAave(order());
        vm.prank(heir);
        executor.liquidateAave(order());
    }

    // ---------------------------------------------------------------- another treasury, in two steps

    function test_ATreasuryIsOfferedAndAccepted() public {
        vm.expectEmit(address(executor));
        emit IKeeperExecutor.TreasuryOffered(heir);
        vm.prank(treasury);
        executor.offerTreasury(heir);
        assertTrue(executor.treasury() == treasury && executor.pendingTreasury() == heir, "not yet");
        onlyTreasury(stranger);
        vm.prank(stranger);
        executor.acceptTreasury();
        vm.expectEmit(address(executor));
        emit IKeeperExecutor.TreasuryChanged(treasury, heir);
        vm.prank(heir);
        executor.acceptTreasury();
        assertTrue(executor.treasury() == heir && executor.pendingTreasury() == nobody, "accepted");
        onlyTreasury(heir);
        vm.prank(heir);
        executor.acceptTreasury();
        onlyTreasury(treasury);
        vm.prank(treasury);
        executor.setOperator(stranger);
    }

    function testFuzz_AnOfferIsWithdrawnByAnother(bool toNobody) public {
        vm.startPrank(treasury);
        executor.offerTreasury(heir);
        executor.offerTreasury(toNobody ? nobody : stranger);
        vm.stopPrank();
        onlyTreasury(heir);
        vm.prank(heir);
        executor.acceptTreasury();
    }

    function test_OneAccountCannotHaveBothRoles() public {
        bytes memory refused = abi.encodeWithSelector(IKeeperExecutor.BadRole.selector, treasury);
        vm.expectRevert(refused);
        new KeeperExecutor(treasury, treasury, address(factory), nobody);
        vm.expectRevert(refused);
        vm.prank(treasury);
        executor.setOperator(treasury);
        vm.prank(treasury);
        executor.offerTreasury(address(this));
        vm.expectRevert(abi.encodeWithSelector(IKeeperExecutor.BadRole.selector, address(this)));
        executor.acceptTreasury();
    }

    function test_NobodyIsNoRole() public {
        bytes memory refused = abi.encodeWithSelector(IKeeperExecutor.BadRole.selector, nobody);
        vm.expectRevert(refused);
        new KeeperExecutor(nobody, address(this), address(factory), nobody);
        vm.expectRevert(refused);
        new KeeperExecutor(treasury, nobody, address(factory), nobody);
        vm.expectRevert(refused);
        vm.prank(treasury);
        executor.setOperator(nobody);
    }

    // ---------------------------------------------------------------- floors and deadlines

    function testFuzz_NoOrderAsksForLessThanTheFloor(uint256 least, int256 asked) public {
        vm.assume(asked < 0 || uint256(asked) < least);
        vm.prank(treasury);
        executor.setFloor(address(debt), least);
        bytes memory refused = abi.encodeWithSelector(IKeeperExecutor.BelowFloor.selector, address(debt), asked, least);
        IKeeperExecutor.AaveLiquidation memory wanted = order();
        wanted.minProfit = asked;
        vm.expectRevert(refused);
        executor.liquidateAave(wanted);
        vm.expectRevert(refused);
        executor.batch(new bytes[](0), new uint256[](0), address(debt), asked, block.timestamp);
    }

    function test_AStepOfABatchObeysTheFloor() public {
        vm.prank(treasury);
        executor.setFloor(address(debt), 5e18);
        (bytes[] memory steps, uint256[] memory limits) = (new bytes[](2), new uint256[](2));
        (limits[0], limits[1]) = (600_000, 600_000);
        IKeeperExecutor.AaveLiquidation memory wanted = order();
        wanted.minProfit = 5e18 - 1;
        steps[0] = abi.encodeCall(executor.liquidateAave, (wanted));
        wanted.minProfit = 5e18;
        steps[1] = abi.encodeCall(executor.liquidateAave, (wanted));
        IKeeperExecutor.Outcome[] memory outcomes = executor.batch(steps, limits, address(debt), 5e18, block.timestamp);
        assertTrue(bytes4(outcomes[0].reason) == IKeeperExecutor.BelowFloor.selector, "below");
        assertTrue(outcomes[1].success, "at the floor");
    }

    function testFuzz_NothingIsDoneAfterItsDeadline(uint32 deadline, uint32 late) public {
        vm.warp(uint256(deadline) + 1 + late);
        bytes memory refused = abi.encodeWithSelector(IKeeperExecutor.Expired.selector, uint256(deadline));
        IKeeperExecutor.AaveLiquidation memory aave = order();
        IKeeperExecutor.CurieLiquidation memory curie;
        IKeeperExecutor.CurieCollateral memory collateral;
        (aave.deadline, curie.deadline, collateral.deadline) = (deadline, deadline, deadline);
        vm.expectRevert(refused);
        executor.liquidateAave(aave);
        vm.expectRevert(refused);
        executor.liquidateCurie(curie);
        vm.expectRevert(refused);
        executor.liquidateCurieCollateral(collateral);
        vm.expectRevert(refused);
        executor.batch(new bytes[](0), new uint256[](0), address(debt), 0, deadline);
    }

    function test_TheDeadlineItselfIsInTime() public {
        vm.warp(1_000);
        IKeeperExecutor.AaveLiquidation memory wanted = order();
        wanted.deadline = 1_000;
        (bytes[] memory steps, uint256[] memory limits) = (new bytes[](2), new uint256[](2));
        (limits[0], limits[1]) = (600_000, 600_000);
        steps[0] = abi.encodeCall(executor.liquidateAave, (wanted));
        wanted.deadline = 999;
        steps[1] = abi.encodeCall(executor.liquidateAave, (wanted));
        IKeeperExecutor.Outcome[] memory outcomes = executor.batch(steps, limits, address(debt), 0, 1_000);
        assertTrue(outcomes[0].success, "in time");
        assertTrue(bytes4(outcomes[1].reason) == IKeeperExecutor.Expired.selector, "too late");
    }

    // ---------------------------------------------------------------- the operator's key in other hands

    /// Each function of the contract, and some that it does not have: capital stays, or goes to the treasury.
    function testFuzz_TheOperatorsKeyCannotTakeCapital(uint8 which, bytes calldata noise, address to, uint128 amount)
        public
    {
        vm.startPrank(treasury);
        executor.setHeld(address(debt), true);
        executor.setFloor(address(debt), 1e18);
        vm.stopPrank();
        bytes[12] memory calls = [
            abi.encodeCall(executor.sweep, (address(debt), amount)),
            abi.encodeCall(executor.sell, (address(debt), through(pool), 1)),
            abi.encodeCall(executor.refuel, (amount)),
            abi.encodeCall(executor.setOperator, (to)),
            abi.encodeCall(executor.setFloor, (address(debt), 0)),
            abi.encodeCall(executor.setHeld, (address(debt), false)),
            abi.encodeCall(executor.setGasBound, (amount)),
            abi.encodeCall(executor.offerTreasury, (to)),
            abi.encodeCall(executor.acceptTreasury, ()),
            abi.encodeCall(debt.transfer, (to, amount)),
            abi.encodeWithSignature("sweep(address,address,uint256)", debt, to, amount),
            abi.encodePacked(bytes4(keccak256(noise)), noise)
        ];
        uint256 all = debt.balanceOf(address(executor));
        (bool done,) = address(executor).call(calls[which % 12]);
        done; // whether or not it is refused
        assertEq(debt.balanceOf(address(executor)) + debt.balanceOf(treasury), all, "capital");
        assertTrue(executor.operator() == address(this) && executor.treasury() == treasury, "roles");
        assertEq(executor.floor(address(debt)), 1e18, "floor");
        assertTrue(executor.held(address(debt)), "list");
        assertEq(executor.gasBound(), 0, "gas bound");
    }

    /// A lender of the thief's own takes what it was allowed and gives nothing, or little, back.
    function testFuzz_AFakeLenderCannotTakeCapital(uint256 givenWad, uint256 repay, bool flash) public {
        lender.setTerms(bound(givenWad, 0, 0.99e18), 10_000, 5);
        IKeeperExecutor.AaveLiquidation memory wanted =
            lending(address(gold), address(debt), bound(repay, 1e6, 1_000_000e18), through(pool));
        wanted.flashLoan = flash;
        debt.mint(address(lender), wanted.repay);
        uint256 all = debt.balanceOf(address(executor));
        (bool done,) = address(executor).call(abi.encodeCall(executor.liquidateAave, (wanted)));
        assertTrue(!done, "a loss");
        assertEq(debt.balanceOf(address(executor)), all, "capital");
    }
}
