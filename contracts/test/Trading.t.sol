// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {MarginEngine} from "../src/MarginEngine.sol";
import {EngineTest} from "./support/EngineTest.sol";
import {vm} from "./support/Vm.sol";

/// Trades, open interest and funding.
contract TradingTest is EngineTest {
    function setUp() public override {
        super.setUp();
        deposit(alice, usd, 100_000e6);
        deposit(bob, usd, 100_000e6);
    }

    function test_a_trade_announces_every_value_it_changes() public {
        vm.expectEmit(address(engine));
        emit MarginEngine.PositionChanged(alice, BTC, 2e18, 120_000e18, 0);
        vm.expectEmit(address(engine));
        emit MarginEngine.MarketChanged(BTC, 2e18, 0, 0, block.timestamp);
        vm.expectEmit(address(engine));
        emit MarginEngine.SettlementChanged(alice, 99_940e18);
        vm.expectEmit(address(engine));
        emit MarginEngine.FundsChanged(50_000_000_060e18, 0);
        vm.expectEmit(address(engine));
        emit MarginEngine.Traded(alice, BTC, 2e18, 60_000e18, 60e18);
        trade(alice, BTC, 2e18);
    }

    function test_profit_is_settled_against_the_pool_in_proportion_to_what_is_closed() public {
        trade(alice, BTC, 2e18);
        btcFeed.set(66_000e8);
        trade(alice, BTC, -0.5e18); // gains 3,000, pays a fee of 16.5
        assertEq(engine.settlementBalance(alice), 99_940e18 + 3_000e18 - 16.5e18, "settlement");
        assertEq(engine.pool(), 50_000_000_000e18 + 60e18 - 3_000e18 + 16.5e18, "pool");
        assertEq(engine.getPosition(alice, BTC).cost, 90_000e18, "cost of the rest");
        assertEq(equityOf(alice), 100_000e18 - 76.5e18 + 12_000e18, "equity");
    }

    function test_a_flip_settles_the_old_side_and_opens_the_new_one_at_the_price() public {
        trade(alice, BTC, 1e18);
        btcFeed.set(54_000e8);
        trade(alice, BTC, -3e18);
        MarginEngine.Position memory position = engine.getPosition(alice, BTC);
        assertEq(position.size, -2e18, "size");
        assertEq(position.cost, -108_000e18, "cost");
        assertEq(engine.settlementBalance(alice), 100_000e18 - 30e18 - 6_000e18 - 81e18, "settlement");
        assertEq(engine.getMarket(BTC).longSize, 0, "longs");
        assertEq(engine.getMarket(BTC).shortSize, 2e18, "shorts");
    }

    function test_a_flip_needs_the_initial_margin() public {
        vm.prank(alice);
        engine.withdraw(address(usd), 99_000e6);
        trade(alice, BTC, 1e18);
        vm.expectRevert(
            abi.encodeWithSelector(MarginEngine.MarginTooLow.selector, int256(1_000e18 - 30e18 - 90e18), 1_200e18)
        );
        trade(alice, BTC, -3e18);
    }

    function test_a_full_close_leaves_nothing_behind() public {
        trade(alice, BTC, -1e18);
        pass(1 hours);
        trade(alice, BTC, 1e18);
        MarginEngine.Position memory position = engine.getPosition(alice, BTC);
        assertEq(position.size, 0, "size");
        assertEq(position.cost, 0, "cost");
        assertEq(position.fundingIndex, 0, "fundingIndex");
        assertEq(requirementOf(alice), 0, "requirement");
    }

    function test_sizes_are_multiples_of_the_step() public {
        vm.expectRevert(MarginEngine.BadSize.selector);
        trade(alice, BTC, 0);
        vm.expectRevert(MarginEngine.BadSize.selector);
        trade(alice, BTC, 0.001e18 + 1);
        vm.expectRevert(MarginEngine.BadSize.selector);
        trade(alice, BTC, -0.0005e18);
    }

    function test_a_position_can_be_closed_exactly_after_the_step_has_grown() public {
        trade(alice, BTC, 1.001e18);
        MarginEngine.MarketParams memory params = btcParams();
        params.step = 1e18;
        engine.configureMarket(BTC, params, btcTiers());
        vm.expectRevert(MarginEngine.BadSize.selector);
        trade(alice, BTC, 1.001e18);
        trade(alice, BTC, -1.001e18);
        assertEq(sizeOf(alice, BTC), 0, "size");
    }

    function test_the_limit_price_is_the_worst_accepted() public {
        vm.startPrank(alice);
        engine.trade(BTC, 1e18, 60_000e18);
        vm.expectRevert(abi.encodeWithSelector(MarginEngine.PriceLimit.selector, 60_000e18));
        engine.trade(BTC, 1e18, 60_000e18 - 1);
        engine.trade(BTC, -1e18, 60_000e18);
        vm.expectRevert(abi.encodeWithSelector(MarginEngine.PriceLimit.selector, 60_000e18));
        engine.trade(BTC, -1e18, 60_000e18 + 1);
    }

    function test_an_unknown_market_is_refused() public {
        vm.expectRevert(abi.encodeWithSelector(MarginEngine.UnknownMarket.selector, 3));
        trade(alice, 3, 1e18);
        vm.expectRevert(abi.encodeWithSelector(MarginEngine.UnknownMarket.selector, 3));
        liquidate(alice, 3, 1e18);
    }

    function test_no_trade_leaves_dust() public {
        vm.expectRevert(abi.encodeWithSelector(MarginEngine.DustLeft.selector, 60e18));
        trade(alice, BTC, 0.001e18);
        trade(alice, BTC, 0.002e18);
        vm.expectRevert(abi.encodeWithSelector(MarginEngine.DustLeft.selector, 60e18));
        trade(alice, BTC, -0.001e18);
    }

    function test_an_increase_needs_the_initial_margin_and_a_decrease_the_maintenance_margin() public {
        vm.prank(alice);
        engine.withdraw(address(usd), 99_000e6);
        trade(alice, BTC, 1.5e18); // fee 45, maintenance 450, initial 900
        vm.expectRevert(abi.encodeWithSelector(MarginEngine.MarginTooLow.selector, int256(940e18), 1_200e18));
        trade(alice, BTC, 0.5e18);
        btcFeed.set(59_700e8); // loses 450: equity 505, maintenance 447.75
        trade(alice, BTC, -0.5e18);
        btcFeed.set(59_500e8); // equity 290.075, maintenance 297.5
        vm.expectRevert(abi.encodeWithSelector(MarginEngine.MarginTooLow.selector, int256(290.04525e18), 297.2025e18));
        trade(alice, BTC, -0.001e18);
    }

    function test_nobody_walks_away_from_bad_debt() public {
        vm.prank(alice);
        engine.withdraw(address(usd), 99_000e6);
        trade(alice, BTC, 1e18);
        btcFeed.set(59_000e8);
        vm.expectRevert(abi.encodeWithSelector(MarginEngine.MarginTooLow.selector, int256(-59.5e18), 0));
        trade(alice, BTC, -1e18);
    }

    function test_open_interest_is_capped_on_each_side_by_itself() public {
        MarginEngine.MarketParams memory params = btcParams();
        params.maxOpenInterest = 2e18;
        engine.configureMarket(BTC, params, btcTiers());
        trade(alice, BTC, 2e18);
        vm.expectRevert(abi.encodeWithSelector(MarginEngine.OpenInterestTooHigh.selector, 2.1e18));
        trade(bob, BTC, 0.1e18);
        trade(bob, BTC, -2e18);
        vm.expectRevert(abi.encodeWithSelector(MarginEngine.OpenInterestTooHigh.selector, 2.1e18));
        trade(bob, BTC, -0.1e18);
        params.maxOpenInterest = 1e18;
        engine.configureMarket(BTC, params, btcTiers());
        trade(alice, BTC, -1.5e18); // both sides are above the cap or below: a decrease is free
        trade(alice, BTC, 0.5e18); // the shorts above it do not stop a long
    }

    function test_longs_pay_when_there_are_more_longs_and_the_pool_is_between() public {
        trade(alice, BTC, 20e18);
        trade(bob, BTC, -10e18);
        int256 total = equityOf(alice) + equityOf(bob);
        (int256 longBefore, int256 shortBefore) = (equityOf(alice), equityOf(bob));
        pass(1 days);
        // skew 10 of 1,000 at 3 % a day: 0.03 % of 60,000 is 18 dollars for a size of 1
        assertEq(equityOf(alice), longBefore - 360e18, "the long pays");
        assertEq(equityOf(bob), shortBefore + 180e18, "the short is paid");
        int256 pool = engine.pool();
        trade(alice, BTC, -20e18);
        trade(bob, BTC, 10e18);
        assertEq(engine.pool() - pool, 180e18 + 900e18, "the pool keeps the rest, and two fees");
        assertEq(equityOf(alice) + equityOf(bob), total - 180e18 - 900e18, "nothing is lost");
    }

    function test_shorts_pay_when_there_are_more_shorts() public {
        trade(alice, BTC, -10e18);
        int256 before = equityOf(alice);
        pass(1 days);
        assertEq(equityOf(alice), before - 180e18, "the short pays");
    }

    function test_funding_is_clamped_at_full_skew() public {
        MarginEngine.MarketParams memory params = btcParams();
        params.skewScale = 1e18;
        engine.configureMarket(BTC, params, btcTiers());
        trade(alice, BTC, 2e18);
        int256 before = equityOf(alice);
        pass(12 hours);
        assertEq(equityOf(alice), before - 1_800e18, "3 % of 120,000, half a day");
    }

    function test_funding_is_settled_by_the_next_trade() public {
        trade(alice, BTC, 10e18);
        pass(1 days);
        trade(alice, BTC, 1e18);
        assertEq(engine.getPosition(alice, BTC).fundingIndex, 18e18, "index");
        assertEq(engine.settlementBalance(alice), 100_000e18 - 300e18 - 180e18 - 30e18, "settlement");
    }

    function test_a_trade_with_a_stale_feed_is_refused() public {
        uint256 updatedAt = block.timestamp;
        vm.warp(updatedAt + HEARTBEAT + 1);
        vm.expectRevert(abi.encodeWithSelector(MarginEngine.StalePrice.selector, address(btcFeed), updatedAt));
        trade(alice, BTC, 1e18);
    }
}
