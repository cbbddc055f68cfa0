// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {KeeperExecutor} from "../../src/KeeperExecutor.sol";
import {IKeeperExecutor} from "../../src/interfaces/IKeeperExecutor.sol";
import {TestToken} from "../../src/mocks/TestToken.sol";
import {vm} from "../support/Vm.sol";

/// For all callers and all arguments, by halmos (`make audit-halmos`): forge does not run these.
contract SymbolicExecutorTest {
    address private constant TREASURY = address(0x7EA);
    address private constant OPERATOR = address(0x0b);
    uint256 private constant BOUND = 3 ether;

    TestToken private cash = new TestToken("CASH", 18);
    KeeperExecutor private executor;

    function setUp() public {
        vm.warp(1_700_000_000);
        executor = new KeeperExecutor(TREASURY, OPERATOR, address(0xFAC), address(0));
        cash.mint(address(executor), 1_000e18);
        vm.deal(address(executor), 10 ether);
        vm.startPrank(TREASURY);
        executor.setGasBound(BOUND);
        executor.setFloor(address(cash), 5);
        executor.setHeld(address(cash), true);
        vm.stopPrank();
    }

    /// A stranger gets through to nothing: no entry, whatever its arguments.
    function check_no_stranger_comes_in(
        address caller,
        IKeeperExecutor.AaveLiquidation memory lending,
        IKeeperExecutor.CurieLiquidation memory perpetual,
        IKeeperExecutor.CurieCollateral memory collateral,
        address token,
        uint256 amount
    ) public {
        vm.assume(caller != TREASURY && caller != OPERATOR && caller != address(executor));
        vm.startPrank(caller);
        refused(abi.encodeCall(executor.liquidateAave, (lending)));
        refused(abi.encodeCall(executor.liquidateCurie, (perpetual)));
        refused(abi.encodeCall(executor.liquidateCurieCollateral, (collateral)));
        refused(abi.encodeCall(executor.batch, (new bytes[](0), new uint256[](0), token, int256(amount), amount)));
        refused(abi.encodeCall(executor.sell, (token, new address[](1), amount)));
        refused(abi.encodeCall(executor.sweep, (token, amount)));
        refused(abi.encodeCall(executor.refuel, (amount)));
        vm.stopPrank();
        unchanged();
    }

    /// Only the treasury changes a rule or a role: not even the operator, or the executor itself.
    function check_only_the_treasury_governs(address caller, address account, uint256 amount, bool yes) public {
        vm.assume(caller != TREASURY && caller != address(0));
        vm.startPrank(caller);
        refused(abi.encodeCall(executor.offerTreasury, (account)));
        refused(abi.encodeCall(executor.acceptTreasury, ()));
        refused(abi.encodeCall(executor.setOperator, (account)));
        refused(abi.encodeCall(executor.setFloor, (account, amount)));
        refused(abi.encodeCall(executor.setHeld, (account, yes)));
        refused(abi.encodeCall(executor.setGasBound, (amount)));
        vm.stopPrank();
        unchanged();
    }

    /// An offer is accepted by the account that it was made to, and by nobody else, the operator least of all.
    function check_the_treasury_moves_in_two_steps(address offered, address caller) public {
        vm.prank(TREASURY);
        executor.offerTreasury(offered);
        assert(executor.treasury() == TREASURY);
        vm.prank(caller);
        (bool done,) = address(executor).call(abi.encodeCall(executor.acceptTreasury, ()));
        assert(!done || (caller == offered && caller != OPERATOR));
        assert(executor.treasury() == (done ? caller : TREASURY));
    }

    /// No callback is taken that nobody asked for, from anybody.
    function check_no_callback_comes_unasked(address caller, int256 a, int256 b, uint256 word, address initiator)
        public
    {
        vm.startPrank(caller);
        bytes memory data = abi.encode(cash, word, a);
        refused(abi.encodeCall(executor.uniswapV3SwapCallback, (a, b, data)));
        refused(abi.encodeCall(executor.executeOperation, (address(cash), word, word, initiator, data)));
        vm.stopPrank();
        unchanged();
    }

    /// What either role sweeps is the treasury's, to the unit.
    function check_a_sweep_pays_the_treasury(bool operator, uint256 amount, address other) public {
        vm.assume(other != TREASURY && other != address(executor));
        uint256 before = cash.balanceOf(other);
        vm.prank(operator ? OPERATOR : TREASURY);
        (bool done,) = address(executor).call(abi.encodeCall(executor.sweep, (address(cash), amount)));
        uint256 paid = done ? amount : 0;
        assert(cash.balanceOf(TREASURY) == paid);
        assert(cash.balanceOf(address(executor)) == 1_000e18 - paid);
        assert(cash.balanceOf(other) == before);
    }

    /// Coins for gas go to the operator, and two takings of a day come to no more than the bound.
    function check_gas_is_bounded_a_day(uint256 first, uint256 second, uint256 later) public {
        vm.assume(later < 1 days - 1_700_000_000 % 1 days);
        vm.startPrank(OPERATOR);
        (bool one,) = address(executor).call(abi.encodeCall(executor.refuel, (first)));
        vm.warp(1_700_000_000 + later);
        (bool two,) = address(executor).call(abi.encodeCall(executor.refuel, (second)));
        vm.stopPrank();
        uint256 taken = (one ? first : 0) + (two ? second : 0);
        assert(taken <= BOUND);
        assert(OPERATOR.balance == taken);
        assert(address(executor).balance == 10 ether - taken);
    }

    /// No liquidation below the floor, none for a loss, none after its deadline, whatever else is asked for.
    function check_the_floor_and_the_deadline_bind(address account, address pool, int256 least, uint256 deadline)
        public
    {
        vm.assume(least < 5 || deadline < block.timestamp);
        IKeeperExecutor.AaveLiquidation memory order;
        (order.pool, order.account, order.collateral, order.debt) = (pool, account, pool, address(cash));
        (order.repay, order.minProfit, order.deadline) = (1, least, deadline);
        vm.startPrank(OPERATOR);
        refused(abi.encodeCall(executor.liquidateAave, (order)));
        refused(abi.encodeCall(executor.batch, (new bytes[](0), new uint256[](0), address(cash), least, deadline)));
        vm.stopPrank();
        unchanged();
    }

    /// A token of the list is sold by nobody but the treasury.
    function check_the_operator_sells_no_capital(address pool, uint256 least) public {
        address[] memory pools = new address[](1);
        pools[0] = pool;
        vm.startPrank(OPERATOR);
        refused(abi.encodeCall(executor.sell, (address(cash), pools, least)));
        vm.stopPrank();
        unchanged();
    }

    function refused(bytes memory call) private {
        (bool done,) = address(executor).call(call);
        assert(!done);
    }

    function unchanged() private view {
        assert(executor.treasury() == TREASURY && executor.operator() == OPERATOR);
        assert(executor.pendingTreasury() == address(0) && executor.gasBound() == BOUND);
        assert(executor.floor(address(cash)) == 5 && executor.held(address(cash)));
        assert(cash.balanceOf(address(executor)) == 1_000e18 && address(executor).balance == 10 ether);
    }
}
