// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {MarginEngine} from "../../src/MarginEngine.sol";
import {EngineTest} from "../support/EngineTest.sol";
import {vm} from "../support/Vm.sol";

/// For all callers and all arguments, by halmos (`make audit-halmos`): forge does not run these.
contract SymbolicEngineTest is EngineTest {
    // Alice is long a bitcoin, safely, and holds some ether.
    function setUp() public override {
        super.setUp();
        deposit(alice, usd, 6_700e6);
        deposit(alice, weth, 1e18);
        trade(alice, BTC, 1e18);
    }

    /// Nobody but the owner configures, pauses, takes from the pool or names an owner.
    function check_only_the_owner_governs(
        address caller,
        MarginEngine.CollateralParams memory collateral,
        MarginEngine.MarketParams memory market,
        uint256 a,
        uint256 b
    ) public {
        vm.assume(caller != address(this));
        MarginEngine.Bracket[] memory tiers = flatTier(0.01e18);
        vm.startPrank(caller);
        refused(abi.encodeCall(engine.listCollateral, (usd, collateral)));
        refused(abi.encodeCall(engine.configureCollateral, (a, collateral)));
        refused(abi.encodeCall(engine.listMarket, (bytes32(a), market, tiers)));
        refused(abi.encodeCall(engine.configureMarket, (a, market, tiers)));
        refused(abi.encodeCall(engine.setLimits, (a, b)));
        refused(abi.encodeCall(engine.pause, ()));
        refused(abi.encodeCall(engine.unpause, ()));
        refused(abi.encodeCall(engine.withdrawPool, (a)));
        refused(abi.encodeCall(engine.transferOwnership, (address(uint160(a)))));
        refused(abi.encodeCall(engine.renounceOwnership, ()));
    }

    /// What others withdraw is theirs.
    function check_nobody_withdraws_for_another(address caller, uint256 amount, bool ether_) public {
        vm.assume(caller != alice);
        uint256 tokens = weth.balanceOf(address(engine));
        vm.prank(caller);
        (bool done,) =
            address(engine).call(abi.encodeCall(engine.withdraw, (ether_ ? address(weth) : address(usd), amount)));
        assert(!done || amount == 0);
        assert(engine.settlementBalance(alice) == 6_700e18 - 30e18);
        assert(engine.collateralBalance(alice, 2) == 1e18);
        assert(weth.balanceOf(address(engine)) == tokens);
    }

    /// A safe account is not liquidated, whatever is asked for.
    function check_no_safe_account_is_liquidated(address caller, uint256 size, uint256 least, uint256 deadline) public {
        vm.prank(caller);
        (bool done,) = address(engine).call(abi.encodeCall(engine.liquidate, (alice, BTC, size, least, deadline)));
        assert(!done);
    }

    /// Who owes nothing loses no collateral.
    function check_no_safe_account_is_seized(address caller, uint256 repay, uint256 least, uint256 deadline) public {
        vm.prank(caller);
        (bool done,) =
            address(engine).call(abi.encodeCall(engine.seizeCollateral, (alice, address(weth), repay, least, deadline)));
        assert(!done);
    }

    /// No liquidation and no seizure is done after its deadline, even of an unsafe account.
    function check_nothing_is_done_after_its_deadline(address caller, uint256 size, uint256 late) public {
        vm.assume(late > 0 && late <= block.timestamp);
        btcFeed.set(40_000e8);
        uint256 deadline = block.timestamp - late;
        vm.prank(caller);
        (bool closed,) = address(engine).call(abi.encodeCall(engine.liquidate, (alice, BTC, size, 0, deadline)));
        vm.prank(caller);
        (bool sold,) =
            address(engine).call(abi.encodeCall(engine.seizeCollateral, (alice, address(weth), size, 0, deadline)));
        assert(!closed && !sold);
    }

    /// While it is paused nothing but deposits is possible.
    function check_the_pause_stops_everything(address caller, uint256 a, uint256 b, int256 c) public {
        engine.pause();
        btcFeed.set(40_000e8);
        vm.startPrank(caller);
        (bool traded,) = address(engine).call(abi.encodeCall(engine.trade, (a, c, b)));
        (bool withdrawn,) = address(engine).call(abi.encodeCall(engine.withdraw, (address(usd), a)));
        (bool closed,) = address(engine).call(abi.encodeCall(engine.liquidate, (alice, BTC, a, b, block.timestamp)));
        (bool sold,) =
            address(engine).call(abi.encodeCall(engine.seizeCollateral, (alice, address(weth), a, b, block.timestamp)));
        assert(!traded && !withdrawn && !closed && !sold);
    }

    /// A gift below the minimum is refused to everybody but the account itself.
    function check_no_gift_is_dust(address caller, uint256 units) public {
        vm.assume(caller != alice && units < LEAST_GIFT);
        vm.prank(caller);
        (bool done,) = address(engine).call(abi.encodeCall(engine.depositFor, (alice, address(weth), units)));
        assert(!done);
    }

    function refused(bytes memory call) private {
        (bool done,) = address(engine).call(call);
        assert(!done);
    }
}
