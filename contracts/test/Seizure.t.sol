// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {MarginEngine} from "../src/MarginEngine.sol";
import {TestToken} from "../src/mocks/TestToken.sol";
import {SettableFeed} from "../src/mocks/SettableFeed.sol";
import {EngineTest} from "./support/EngineTest.sol";
import {vm} from "./support/Vm.sol";

/// Whose collateral may be sold, at what price, and what becomes of the debt. Alice holds ten ether, which count 24,000
/// after the haircut, and owes what she lost on a bitcoin.
contract SeizureTest is EngineTest {
    function test_collateral_is_sold_at_the_discount_and_announced() public {
        owing(6_000e18);
        vm.expectEmit(address(engine));
        emit MarginEngine.CollateralChanged(alice, 2, 9e18);
        vm.expectEmit(address(engine));
        emit MarginEngine.SettlementChanged(alice, -3_300e18);
        vm.expectEmit(address(engine));
        emit MarginEngine.CollateralSeized(alice, 2, keeper, 1e18, 2_700e6);
        vm.expectEmit(address(engine));
        emit MarginEngine.FundsChanged(engine.pool(), engine.insuranceFund());
        int256 equity = equityOf(alice);
        uint256 tokens = usd.balanceOf(keeper);
        (uint256 amount, uint256 repaid) = seize(alice, weth, 2_700e6); // 3,000 less 10 %
        assertEq(amount, 1e18, "amount");
        assertEq(repaid, 2_700e6, "repaid");
        assertEq(weth.balanceOf(keeper), 1e18, "received");
        assertEq(tokens - usd.balanceOf(keeper), 2_700e6, "paid");
        assertEq(equityOf(alice), equity + 300e18, "sold for 2,700 what counted 2,400");
        assertEq(engine.getCollateral(2).total, 9e18, "total");
    }

    function test_no_more_is_sold_than_the_debt() public {
        owing(2_700e18);
        (uint256 amount, uint256 repaid) = seize(alice, weth, 1_000_000e6);
        assertEq(amount, 1e18, "amount");
        assertEq(repaid, 2_700e6, "repaid");
        assertEq(engine.settlementBalance(alice), 0, "settled");
    }

    function test_a_debt_that_is_no_whole_token_unit_is_rounded_up_and_the_account_keeps_the_rest() public {
        owing(2_700e18 - 1e10);
        seize(alice, weth, 1_000_000e6);
        assertEq(engine.settlementBalance(alice), 1e10, "the rest");
    }

    function test_who_owes_nothing_is_not_seized() public {
        deposit(alice, weth, 1e18);
        vm.expectRevert(abi.encodeWithSelector(MarginEngine.NotSeizable.selector, int256(0)));
        seize(alice, weth, 1e6);
    }

    function test_a_small_debt_of_a_safe_account_with_a_position_is_not_seized() public {
        owing(6_000e18);
        trade(alice, BTC, 0.1e18); // fee 3
        vm.expectRevert(abi.encodeWithSelector(MarginEngine.NotSeizable.selector, int256(-6_003e18)));
        seize(alice, weth, 1e6);
    }

    function test_a_large_debt_of_a_safe_account_is_seized() public {
        owing(6_000e18);
        trade(alice, BTC, 0.1e18);
        engine.setLimits(1.25e18, 6_003e18 - 1);
        seize(alice, weth, 1e6);
    }

    function test_a_small_debt_of_an_unsafe_account_is_seized() public {
        owing(6_000e18);
        trade(alice, BTC, 0.1e18);
        ethFeed.set(750e18); // counts 6,000 against a debt of 6,003
        (uint256 amount,) = seize(alice, weth, 675e6);
        assertEq(amount, 1e18, "amount");
    }

    function test_too_little_out_is_refused() public {
        owing(6_000e18);
        vm.startPrank(keeper);
        vm.expectRevert(abi.encodeWithSelector(MarginEngine.TooLittleOut.selector, 1e18));
        engine.seizeCollateral(alice, address(weth), 2_700e6, 1e18 + 1, block.timestamp);
        vm.expectRevert(abi.encodeWithSelector(MarginEngine.TooLittleOut.selector, 0));
        engine.seizeCollateral(alice, address(weth), 0, 0, block.timestamp);
        vm.expectRevert(abi.encodeWithSelector(MarginEngine.TooLittleOut.selector, 0));
        engine.seizeCollateral(alice, address(wbtc), 1e6, 0, block.timestamp);
    }

    function test_the_settlement_token_and_unlisted_tokens_are_not_sold() public {
        owing(6_000e18);
        vm.expectRevert(abi.encodeWithSelector(MarginEngine.UnknownCollateral.selector, address(usd)));
        seize(alice, usd, 1e6);
        vm.expectRevert(abi.encodeWithSelector(MarginEngine.UnknownCollateral.selector, bob));
        seize(alice, TestToken(bob), 1e6);
    }

    function test_the_last_collateral_of_a_bankrupt_account_settles_its_bad_debt() public {
        owing(6_000e18);
        engine.fundInsurance(500e6);
        ethFeed.set(500e18); // ten of them are sold for 4,500
        vm.expectEmit(address(engine));
        emit MarginEngine.BadDebt(alice, 1_500e18, 500e18, 1_000e18);
        (uint256 amount, uint256 repaid) = seize(alice, weth, 1_000_000e6);
        assertEq(amount, 10e18, "all of it");
        assertEq(repaid, 4_500e6, "for what it is worth");
        assertEq(engine.settlementBalance(alice), 0, "settled");
        assertEq(equityOf(alice), 0, "nothing left");
    }

    function test_a_unit_that_is_dearer_than_the_debt_is_still_sold() public {
        TestToken bars = new TestToken("BAR", 0);
        engine.listCollateral(bars, collateralParams(new SettableFeed(0, 1_000), 0.9e18, 0.05e18, 100));
        deposit(bob, bars, 1);
        lose(bob, 20e18);
        vm.expectRevert(abi.encodeWithSelector(MarginEngine.TooLittleOut.selector, 0));
        seize(bob, bars, 950e6 - 1);
        (uint256 amount, uint256 repaid) = seize(bob, bars, 1_000_000e6);
        assertEq(amount, 1, "one");
        assertEq(repaid, 950e6, "at its price");
        assertEq(engine.settlementBalance(bob), 930e18, "the rest is the account's");
    }

    function test_a_stale_feed_stops_seizures() public {
        owing(6_000e18);
        uint256 updatedAt = block.timestamp;
        vm.warp(updatedAt + HEARTBEAT + 1);
        vm.expectRevert(abi.encodeWithSelector(MarginEngine.StalePrice.selector, address(ethFeed), updatedAt));
        seize(alice, weth, 1e6);
    }

    function owing(uint256 debt) private {
        deposit(alice, weth, 10e18);
        lose(alice, debt);
    }

    /// On one bitcoin, without fees; afterwards there is no position, and the price is what it was.
    function lose(address account, uint256 dollars) private {
        MarginEngine.MarketParams memory params = btcParams();
        params.tradingFee = 0;
        engine.configureMarket(BTC, params, btcTiers());
        trade(account, BTC, 1e18);
        btcFeed.set(60_000e8 - int256(dollars / 1e10));
        trade(account, BTC, -1e18);
        btcFeed.set(60_000e8);
        engine.configureMarket(BTC, btcParams(), btcTiers());
    }
}
