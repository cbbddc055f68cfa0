// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {MarginEngine} from "../src/MarginEngine.sol";
import {EngineTest} from "./support/EngineTest.sol";
import {vm} from "./support/Vm.sol";

/// Who may be liquidated, how much at once, and who is paid what.
contract LiquidationTest is EngineTest {
    // Alice is long 10 bitcoin at 60,000 with an equity of 6,400: requirement 3,000, initial margin 6,000.
    function setUp() public override {
        super.setUp();
        deposit(alice, usd, 6_700e6);
        trade(alice, BTC, 10e18);
    }

    function test_an_account_at_exactly_its_requirement_is_safe() public {
        btcFeed.set(59_600e8); // equity 2,400, requirement 2,980
        deposit(alice, usd, 580e6);
        assertEq(equityOf(alice), int256(requirementOf(alice)), "equal");
        expectNotLiquidatable(alice);
        liquidate(alice, BTC, 1e18);
    }

    function test_an_account_one_token_unit_below_its_requirement_is_not() public {
        btcFeed.set(59_600e8);
        deposit(alice, usd, 580e6 - 1);
        liquidate(alice, BTC, 1e18);
    }

    function test_a_liquidation_pays_the_keeper_and_the_fund_and_announces_it() public {
        btcFeed.set(59_600e8); // equity 2,400, requirement 2,980
        int256 pool = engine.pool();
        vm.expectEmit(address(engine));
        emit MarginEngine.PositionChanged(alice, BTC, 8e18, 480_000e18, 0);
        vm.expectEmit(address(engine));
        emit MarginEngine.MarketChanged(BTC, 8e18, 0, 0, block.timestamp);
        vm.expectEmit(address(engine));
        emit MarginEngine.SettlementChanged(alice, 5_600e18);
        vm.expectEmit(address(engine));
        emit MarginEngine.SettlementChanged(alice, 5_600e18 - 298e18);
        vm.expectEmit(address(engine));
        emit MarginEngine.Liquidated(alice, BTC, keeper, 2e18, 59_600e18, 298e18, 149e6);
        vm.expectEmit(address(engine));
        emit MarginEngine.FundsChanged(pool + 800e18, 149e18);
        uint256 before = usd.balanceOf(keeper);
        assertEq(liquidate(alice, BTC, 2e18), 149e6, "reward");
        assertEq(usd.balanceOf(keeper) - before, 149e6, "paid");
        assertEq(equityOf(alice), 2_400e18 - 298e18, "equity");
        assertEq(requirementOf(alice), 2_384e18, "requirement");
    }

    function test_a_short_is_bought_back() public {
        trade(alice, BTC, -10e18);
        deposit(alice, usd, 600e6);
        trade(alice, BTC, -10e18);
        btcFeed.set(60_400e8); // equity 2,400, requirement 3,020
        vm.expectRevert(abi.encodeWithSelector(MarginEngine.CloseFactorExceeded.selector, 5e18));
        liquidate(alice, BTC, 5.001e18);
        liquidate(alice, BTC, 2e18);
        assertEq(sizeOf(alice, BTC), -8e18, "size");
        assertEq(engine.getMarket(BTC).shortSize, 8e18, "open interest");
    }

    function test_half_of_the_position_at_most() public {
        btcFeed.set(59_600e8);
        vm.expectRevert(abi.encodeWithSelector(MarginEngine.CloseFactorExceeded.selector, 5e18));
        liquidate(alice, BTC, 5.001e18);
        vm.expectRevert(abi.encodeWithSelector(MarginEngine.CloseFactorExceeded.selector, 5e18));
        liquidate(alice, BTC, 10e18);
    }

    function test_never_beyond_the_maximum_health() public {
        btcFeed.set(59_600e8);
        engine.setLimits(1.1e18, 0);
        // (1.1 * 2,980 - 2,400) / (1.1 * 0.5 % - 0.25 %) = 292,666, which is 4.91 at 59,600
        uint256 notional = 59_600 * 4.911e18;
        int256 equity = int256(2_400e18 - notional / 400);
        vm.expectRevert(
            abi.encodeWithSelector(MarginEngine.OverLiquidation.selector, equity, (596_000e18 - notional) / 200)
        );
        liquidate(alice, BTC, 4.911e18);
        liquidate(alice, BTC, 4.91e18);
    }

    function test_below_half_the_requirement_everything_may_go() public {
        btcFeed.set(59_500e8); // equity 1,400, requirement 2,975
        liquidate(alice, BTC, 10e18);
        assertEq(sizeOf(alice, BTC), 0, "size");
    }

    function test_at_half_the_requirement_only_half_may_go() public {
        btcFeed.set(59_500e8);
        deposit(alice, usd, 87.5e6); // equity 1,487.5
        vm.expectRevert(abi.encodeWithSelector(MarginEngine.CloseFactorExceeded.selector, 5e18));
        liquidate(alice, BTC, 10e18);
    }

    function test_one_token_unit_below_half_the_requirement_everything_may_go() public {
        btcFeed.set(59_500e8);
        deposit(alice, usd, 87.5e6 - 1);
        liquidate(alice, BTC, 10e18);
    }

    function test_the_funds_share_of_the_penalty_is_waived_as_far_as_equity_does_not_cover_it() public {
        btcFeed.set(59_500e8);
        assertEq(liquidate(alice, BTC, 10e18), 743.75e6, "the keeper's half of 1,487.5");
        assertEq(engine.insuranceFund(), 656.25e18, "the rest of the equity");
        assertEq(equityOf(alice), 0, "equity");
    }

    function test_a_full_close_counts_as_if_the_least_position_were_open() public {
        MarginEngine.MarketParams memory params = btcParams();
        params.penalty = 0.001e18;
        engine.configureMarket(BTC, params, btcTiers());
        btcFeed.set(59_500e8);
        vm.expectRevert(abi.encodeWithSelector(MarginEngine.OverLiquidation.selector, int256(805e18), 0.5e18));
        liquidate(alice, BTC, 10e18);
        // (1.25 * 2,975 - 1,400) / (1.25 * 0.5 % - 0.1 %) = 441,666, which is more than half
        liquidate(alice, BTC, 7.42e18);
        assertTrue(uint256(equityOf(alice)) * 1e18 <= requirementOf(alice) * 1.25e18, "at most 1.25");
        assertTrue(uint256(equityOf(alice)) * 1e18 > requirementOf(alice) * 1.24e18, "but close to it");
    }

    function test_a_position_that_would_leave_dust_is_closed_whole() public {
        deposit(bob, usd, 2e6);
        trade(bob, BTC, 0.003e18); // 180 dollars; fee 0.09
        btcFeed.set(59_600e8); // equity 0.71, requirement 0.894
        vm.expectRevert(abi.encodeWithSelector(MarginEngine.DustLeft.selector, 59.6e18));
        liquidate(bob, BTC, 0.002e18);
        liquidate(bob, BTC, 0.003e18);
        assertEq(equityOf(bob), 0.71e18 - 0.447e18, "what is left is above any maximum");
    }

    function test_a_position_of_one_step_is_closed_whole() public {
        deposit(bob, usd, 76e6);
        trade(bob, SOL, 10e18); // 1,500 dollars: no dust, but half of it is no step
        solFeed.set(146e6); // equity 35.25, requirement 36.5
        liquidate(bob, SOL, 10e18);
        assertEq(sizeOf(bob, SOL), 0, "size");
    }

    function test_a_single_step_is_allowed_beyond_the_maximum_health() public {
        engine.setLimits(1e18, 0);
        deposit(bob, usd, 230e6);
        trade(bob, SOL, 30e18);
        solFeed.set(146e6); // equity 107.75, requirement 109.5
        liquidate(bob, SOL, 10e18);
        assertEq(equityOf(bob), 89.5e18, "equity");
        assertEq(requirementOf(bob), 73e18, "requirement");
    }

    function test_bad_debt_is_paid_by_the_insurance_fund_and_then_by_the_pool() public {
        engine.fundInsurance(1_000e6);
        btcFeed.set(59_300e8); // equity -600; the keeper's half of the penalty is 741.25
        int256 pool = engine.pool();
        vm.expectEmit(address(engine));
        emit MarginEngine.BadDebt(alice, 1_341.25e18, 1_000e18, 341.25e18);
        vm.expectEmit(address(engine));
        emit MarginEngine.FundsChanged(pool + 7_000e18 - 341.25e18, 0);
        liquidate(alice, BTC, 10e18);
        assertEq(engine.settlementBalance(alice), 0, "settled");
    }

    function test_bad_debt_waits_while_there_is_another_position_or_collateral() public {
        trade(alice, ETH, 0.1e18);
        deposit(alice, wbtc, 3_000); // worth 1.78 dollars
        btcFeed.set(59_300e8);
        liquidate(alice, BTC, 10e18);
        assertTrue(engine.settlementBalance(alice) < 0, "not while there is a position");
        liquidate(alice, ETH, 0.1e18);
        assertTrue(engine.settlementBalance(alice) < 0, "not while there is collateral");
        seize(alice, wbtc, 2e6);
        assertEq(engine.settlementBalance(alice), 0, "but then");
    }

    function test_a_gift_of_dust_keeps_no_bad_debt_alive() public {
        deposit(alice, wbtc, 1);
        btcFeed.set(59_300e8);
        liquidate(alice, BTC, 10e18);
        assertEq(engine.settlementBalance(alice), 0, "written off");
        assertEq(engine.collateralBalance(alice, 1), 0, "and the dust is gone with it");
    }

    function test_sizes_are_steps_within_the_position() public {
        btcFeed.set(59_600e8);
        vm.expectRevert(MarginEngine.BadSize.selector);
        liquidate(alice, BTC, 0);
        vm.expectRevert(MarginEngine.BadSize.selector);
        liquidate(alice, BTC, 10.001e18);
        vm.expectRevert(MarginEngine.BadSize.selector);
        liquidate(alice, BTC, 1e18 + 1);
        vm.expectRevert(MarginEngine.BadSize.selector);
        liquidate(alice, ETH, 1e18);
    }

    function test_a_reward_below_what_the_keeper_asks_is_refused() public {
        btcFeed.set(59_600e8);
        vm.startPrank(keeper);
        vm.expectRevert(abi.encodeWithSelector(MarginEngine.RewardTooLow.selector, 149e6));
        engine.liquidate(alice, BTC, 2e18, 149e6 + 1, block.timestamp);
        engine.liquidate(alice, BTC, 2e18, 149e6, block.timestamp);
    }

    function test_the_block_cap_holds_for_all_accounts_together_and_starts_again_with_the_next_block() public {
        MarginEngine.MarketParams memory params = btcParams();
        params.blockCap = 200_000e18;
        engine.configureMarket(BTC, params, btcTiers());
        btcFeed.set(59_600e8);
        vm.expectRevert(abi.encodeWithSelector(MarginEngine.BlockCapReached.selector, 200_000e18));
        liquidate(alice, BTC, 4e18);
        liquidate(alice, BTC, 2e18);
        vm.expectRevert(abi.encodeWithSelector(MarginEngine.BlockCapReached.selector, 80_800e18));
        liquidate(alice, BTC, 2e18);
        params.blockCap = 200e18;
        engine.configureMarket(BTC, params, btcTiers());
        vm.expectRevert(abi.encodeWithSelector(MarginEngine.BlockCapReached.selector, 0));
        liquidate(alice, BTC, 0.001e18);
        vm.roll(block.number + 1);
        liquidate(alice, BTC, 0.001e18);
        assertEq(engine.getMarket(BTC).capUsed, 59.6e18, "used");
    }

    function test_a_stale_feed_stops_liquidations() public {
        btcFeed.setAt(59_600e8, block.timestamp);
        uint256 updatedAt = block.timestamp;
        vm.warp(updatedAt + HEARTBEAT + 1);
        vm.expectRevert(abi.encodeWithSelector(MarginEngine.StalePrice.selector, address(btcFeed), updatedAt));
        liquidate(alice, BTC, 1e18);
    }
}
