// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {ReentrancyGuard} from "@openzeppelin/contracts/utils/ReentrancyGuard.sol";
import {MarginEngine} from "../src/MarginEngine.sol";
import {TestToken} from "../src/mocks/TestToken.sol";
import {EngineTest} from "./support/EngineTest.sol";
import {vm} from "./support/Vm.sol";

/// A token that calls the engine back while it is being taken.
contract ReentrantToken is TestToken {
    MarginEngine private immutable engine;

    constructor(MarginEngine engine_) TestToken("EVIL", 18) {
        engine = engine_;
    }

    function transferFrom(address from, address to, uint256 amount) public override returns (bool) {
        engine.withdraw(address(this), amount);
        return super.transferFrom(from, to, amount);
    }
}

/// Deposits, withdrawals and health.
contract AccountsTest is EngineTest {
    function test_a_deposit_of_the_settlement_token_is_a_balance_in_dollars() public {
        give(alice, usd, 5e6);
        vm.expectEmit(address(engine));
        emit MarginEngine.SettlementChanged(alice, 5e18);
        vm.prank(alice);
        engine.deposit(address(usd), 5e6);
        assertEq(engine.settlementBalance(alice), 5e18, "balance");
        assertEq(usd.balanceOf(alice), 0, "taken");
    }

    function test_a_deposit_for_somebody_is_theirs() public {
        give(bob, wbtc, 3e8);
        vm.expectEmit(address(engine));
        emit MarginEngine.CollateralChanged(alice, 1, 3e8);
        vm.prank(bob);
        engine.depositFor(alice, address(wbtc), 3e8);
        assertEq(engine.collateralBalance(alice, 1), 3e8, "alice");
        assertEq(engine.collateralBalance(bob, 1), 0, "bob");
        assertEq(engine.getCollateral(1).total, 3e8, "total");
    }

    function test_deposits_of_nothing_of_unlisted_tokens_or_beyond_the_cap_are_refused() public {
        vm.expectRevert(MarginEngine.BadSize.selector);
        engine.deposit(address(usd), 0);
        vm.expectRevert(abi.encodeWithSelector(MarginEngine.UnknownCollateral.selector, alice));
        engine.deposit(alice, 1);
        deposit(alice, wbtc, 1_000e8);
        vm.expectRevert(abi.encodeWithSelector(MarginEngine.CapExceeded.selector, 1_000e8 + 1));
        engine.deposit(address(wbtc), 1);
    }

    function test_a_withdrawal_returns_the_tokens() public {
        deposit(alice, usd, 5e6);
        deposit(alice, weth, 2e18);
        vm.startPrank(alice);
        vm.expectEmit(address(engine));
        emit MarginEngine.SettlementChanged(alice, 2e18);
        engine.withdraw(address(usd), 3e6);
        vm.expectEmit(address(engine));
        emit MarginEngine.CollateralChanged(alice, 2, 0);
        engine.withdraw(address(weth), 2e18);
        assertEq(usd.balanceOf(alice), 3e6, "usd");
        assertEq(weth.balanceOf(alice), 2e18, "weth");
        assertEq(engine.getCollateral(2).total, 0, "total");
    }

    function test_nobody_withdraws_more_than_they_have() public {
        deposit(alice, usd, 5e6);
        deposit(alice, weth, 2e18);
        vm.startPrank(alice);
        vm.expectRevert(MarginEngine.InsufficientBalance.selector);
        engine.withdraw(address(usd), 5e6 + 1);
        vm.expectRevert(MarginEngine.InsufficientBalance.selector);
        engine.withdraw(address(weth), 2e18 + 1);
        vm.expectRevert(abi.encodeWithSelector(MarginEngine.UnknownCollateral.selector, bob));
        engine.withdraw(bob, 1);
    }

    function test_a_withdrawal_leaves_the_initial_margin() public {
        deposit(alice, usd, 1_000e6);
        trade(alice, BTC, 1e18); // fee 30, initial margin 60,000 * 0.5 % * 2 = 600
        vm.startPrank(alice);
        vm.expectRevert(abi.encodeWithSelector(MarginEngine.MarginTooLow.selector, int256(600e18 - 1e12), 600e18));
        engine.withdraw(address(usd), 370e6 + 1);
        engine.withdraw(address(usd), 370e6);
    }

    function test_who_owes_nothing_withdraws_without_prices() public {
        deposit(alice, weth, 2e18);
        vm.warp(block.timestamp + 10 days);
        vm.prank(alice);
        engine.withdraw(address(weth), 2e18);
    }

    function test_who_owes_withdraws_only_what_the_haircut_leaves() public {
        deposit(alice, weth, 10e18);
        trade(alice, BTC, 1e18);
        trade(alice, BTC, -1e18); // owes two fees: 60 dollars
        vm.startPrank(alice);
        vm.expectRevert(abi.encodeWithSelector(MarginEngine.MarginTooLow.selector, int256(-12e18), 0));
        engine.withdraw(address(weth), 9.98e18);
        engine.withdraw(address(weth), 9.975e18);
        assertEq(equityOf(alice), 0, "equity");
    }

    function test_a_token_that_calls_back_is_refused() public {
        ReentrantToken token = new ReentrantToken(engine);
        engine.listCollateral(token, collateralParams(btcFeed, 0.5e18, 0, 1e24));
        give(alice, token, 1e18);
        vm.expectRevert(ReentrancyGuard.ReentrancyGuardReentrantCall.selector);
        vm.prank(alice);
        engine.deposit(address(token), 1e18);
    }

    function test_equity_counts_every_collateral_with_its_haircut() public {
        deposit(alice, usd, 100e6);
        deposit(alice, wbtc, 0.5e8);
        deposit(alice, weth, 2e18);
        assertEq(equityOf(alice), 100e18 + 0.9 * 30_000e18 + 0.8 * 6_000e18, "equity");
        assertEq(requirementOf(alice), 0, "requirement");
    }

    function test_health_of_nobody_is_nothing() public view {
        assertEq(equityOf(bob), 0, "equity");
        assertEq(requirementOf(bob), 0, "requirement");
    }

    function test_the_requirement_is_read_off_the_brackets() public {
        deposit(alice, usd, 10_000_000e6);
        trade(alice, BTC, 5e18);
        assertEq(requirementOf(alice), 1_500e18, "300,000 at 0.5 %");
        trade(alice, BTC, 45e18);
        assertEq(requirementOf(alice), 27_000e18, "3,000,000 at 1 % - 3,000, which is at 2 % - 33,000 too");
        trade(alice, BTC, -150e18);
        assertEq(requirementOf(alice), 87_000e18, "a short of 6,000,000 at 2 % - 33,000");
        trade(alice, ETH, 100e18);
        assertEq(requirementOf(alice), 90_000e18, "and 300,000 at 1 %");
    }

    function test_health_rounds_against_the_account() public {
        deposit(alice, usd, 1_000e6);
        deposit(bob, usd, 1_000e6);
        trade(alice, ETH, 0.04e18); // 120 dollars; fee 0.06
        trade(bob, ETH, -0.04e18);
        ethFeed.set(3_000e18 + 1); // moves the value by 0.04 wei
        assertEq(equityOf(alice), 999.94e18, "a gain of a part of a wei is none");
        assertEq(equityOf(bob), 999.94e18 - 1, "a loss of a part of a wei is one");
        assertEq(requirementOf(alice), 1.2e18 + 1, "the notional and the margin are rounded up");
        deposit(alice, weth, 1);
        ethFeed.set(3_000.9e18);
        assertEq(equityOf(alice), 999.94e18 + 0.036e18 + 2_400, "2400.72 wei of collateral are 2400");
    }

    function test_a_stale_feed_of_a_market_reverts() public {
        deposit(alice, usd, 1_000e6);
        trade(alice, ETH, 1e18);
        uint256 updatedAt = block.timestamp;
        vm.warp(updatedAt + HEARTBEAT);
        engine.health(alice);
        vm.warp(updatedAt + HEARTBEAT + 1);
        vm.expectRevert(abi.encodeWithSelector(MarginEngine.StalePrice.selector, address(ethFeed), updatedAt));
        engine.health(alice);
    }

    function test_a_price_of_a_market_that_is_not_positive_reverts() public {
        deposit(alice, usd, 1_000e6);
        trade(alice, ETH, 1e18);
        ethFeed.set(0);
        vm.expectRevert(abi.encodeWithSelector(MarginEngine.BadPrice.selector, address(ethFeed), int256(0)));
        engine.health(alice);
        ethFeed.set(-1);
        vm.expectRevert(abi.encodeWithSelector(MarginEngine.BadPrice.selector, address(ethFeed), int256(-1)));
        engine.health(alice);
    }
}
