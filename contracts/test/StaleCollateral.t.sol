// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {MarginEngine} from "../src/MarginEngine.sol";
import {IFeed} from "../src/interfaces/IFeed.sol";
import {SettableFeed} from "../src/mocks/SettableFeed.sol";
import {TestToken} from "../src/mocks/TestToken.sol";
import {EngineTest} from "./support/EngineTest.sol";
import {vm} from "./support/Vm.sol";

/// What a collateral counts while its feed has no fresh price, and what may be done with it: it shields nobody.
contract StaleCollateralTest is EngineTest {
    bytes private constant LATEST = abi.encodeCall(IFeed.latestRoundData, ());
    uint256 private constant ODD = 3;

    TestToken private odd = new TestToken("ODD", 12);
    SettableFeed private oddFeed;

    // Alice is long 10 bitcoin at 60,000; at 59,600 her equity is 2,400 and her requirement 2,980.
    function setUp() public override {
        super.setUp();
        oddFeed = new SettableFeed(8, 10e8);
        engine.listCollateral(odd, collateralParams(oddFeed, 0.7e18, 0.1e18, 1e24));
        deposit(alice, usd, 6_700e6);
        trade(alice, BTC, 10e18);
    }

    // ---------------------------------------------------------------- against the account: liquidations

    function test_dust_with_a_stale_price_shields_nobody() public {
        deposit(alice, odd, 1);
        grow(HEARTBEAT + 1);
        btcFeed.set(59_600e8);
        assertEq(liquidate(alice, BTC, 2e18), 149e6, "liquidated");
    }

    function test_dust_without_any_price_shields_nobody() public {
        deposit(alice, odd, 1);
        btcFeed.set(59_600e8);
        for (uint256 way = 0; way < 7; ++way) {
            silence(way);
            assertEq(equityOf(alice), 2_400e18, "it counts as nothing");
            uint256 state = vm.snapshotState();
            assertEq(liquidate(alice, BTC, 2e18), 149e6, "liquidated");
            vm.revertToState(state);
            vm.clearMockedCalls();
        }
    }

    function test_a_stale_price_goes_on_counting_for_the_account() public {
        deposit(alice, odd, 100e12); // counts 700
        grow(HEARTBEAT + 1);
        btcFeed.set(59_600e8);
        assertEq(equityOf(alice), 3_100e18, "at the last price");
        expectNotLiquidatable(alice);
        liquidate(alice, BTC, 2e18);
    }

    function test_an_answer_of_the_largest_usable_size_counts_and_a_larger_one_does_not() public {
        deposit(alice, odd, 1);
        uint256 most = type(uint128).max / 1e10;
        oddFeed.set(int256(most));
        assertEq(equityOf(alice), 6_400e18 + int256(0.7e18 * 1e6 * most / 1e26), "the last that counts");
        oddFeed.set(int256(most + 1));
        assertEq(equityOf(alice), 6_400e18, "and none beyond");
    }

    function test_the_dearest_collateral_does_not_overflow() public {
        engine.configureCollateral(ODD, collateralParams(oddFeed, 1e18, 0, type(uint96).max));
        deposit(alice, odd, type(uint96).max);
        oddFeed.set(int256(uint256(type(uint128).max / 1e10)));
        assertTrue(equityOf(alice) > 0, "counted");
    }

    function test_a_time_of_update_that_overflows_is_no_shield() public {
        deposit(alice, odd, 1);
        oddFeed.setAt(10e8, type(uint256).max);
        btcFeed.set(59_600e8);
        liquidate(alice, BTC, 2e18);
    }

    // ---------------------------------------------------------------- for the account: trades, withdrawals, deposits

    function test_what_has_no_fresh_price_lets_nobody_withdraw_or_open() public {
        deposit(alice, odd, 1_000e12); // counts 7,000
        vm.startPrank(alice);
        engine.withdraw(address(usd), 400e6);
        vm.stopPrank();
        grow(HEARTBEAT + 1);
        vm.startPrank(alice);
        vm.expectRevert(abi.encodeWithSelector(MarginEngine.MarginTooLow.selector, int256(6_000e18 - 1e12), 6_000e18));
        engine.withdraw(address(usd), 1);
        vm.expectPartialRevert(MarginEngine.MarginTooLow.selector);
        engine.trade(BTC, 0.001e18, ANY_PRICE);
        engine.withdraw(address(odd), 1_000e12); // which counted as nothing
    }

    function test_a_price_is_fresh_to_the_last_second_of_its_heartbeat() public {
        deposit(alice, odd, 1_000e12);
        grow(HEARTBEAT);
        vm.prank(alice);
        engine.trade(BTC, 1e18, ANY_PRICE);
    }

    function test_a_reduction_needs_its_margin_without_what_has_no_fresh_price() public {
        deposit(alice, odd, 1_000e12);
        btcFeed.set(59_600e8);
        grow(HEARTBEAT + 1);
        vm.expectRevert(abi.encodeWithSelector(MarginEngine.MarginTooLow.selector, int256(2_370.2e18), 2_682e18));
        trade(alice, BTC, -1e18);
        trade(alice, BTC, -3e18);
    }

    function test_dust_without_a_price_does_not_lock_the_owner_out() public {
        deposit(alice, odd, 1);
        silence(0);
        vm.startPrank(alice);
        engine.withdraw(address(usd), 400e6);
        engine.trade(BTC, -10e18, 0);
    }

    function test_what_has_no_fresh_price_is_not_taken_in() public {
        give(alice, odd, 2);
        grow(HEARTBEAT + 1);
        (, int256 answer,, uint256 updatedAt,) = oddFeed.latestRoundData();
        vm.startPrank(alice);
        vm.expectRevert(abi.encodeWithSelector(MarginEngine.StalePrice.selector, address(oddFeed), updatedAt));
        engine.deposit(address(odd), 1);
        oddFeed.set(0);
        vm.expectRevert(abi.encodeWithSelector(MarginEngine.BadPrice.selector, address(oddFeed), int256(0)));
        engine.deposit(address(odd), 1);
        oddFeed.set(answer);
        engine.deposit(address(odd), 1);
    }

    function test_who_gives_gives_more_than_dust() public {
        give(bob, odd, 1e12);
        give(bob, usd, 10e6);
        vm.startPrank(bob);
        vm.expectRevert(abi.encodeWithSelector(MarginEngine.GiftTooSmall.selector, LEAST_GIFT));
        engine.depositFor(alice, address(odd), LEAST_GIFT - 1);
        engine.depositFor(alice, address(odd), LEAST_GIFT);
        vm.expectRevert(abi.encodeWithSelector(MarginEngine.GiftTooSmall.selector, 1e6)); // one dollar
        engine.depositFor(alice, address(usd), 1e6 - 1);
        engine.depositFor(alice, address(usd), 1e6);
        engine.depositFor(bob, address(odd), 1); // one's own may be as small as it likes
        engine.deposit(address(usd), 1);
    }

    // ---------------------------------------------------------------- bad debt

    function test_dust_goes_to_the_owner_with_the_bad_debt_beside_it() public {
        deposit(alice, odd, 0.14e12); // counts 0.98
        deposit(alice, wbtc, 1);
        btcFeed.set(59_300e8);
        vm.expectEmit(address(engine));
        emit MarginEngine.CollateralChanged(alice, ODD, 0);
        vm.expectEmit(address(engine));
        emit MarginEngine.CollateralChanged(address(this), ODD, 0.14e12);
        liquidate(alice, BTC, 10e18);
        assertEq(engine.settlementBalance(alice), 0, "written off");
        assertEq(equityOf(alice), 0, "nothing left");
        assertEq(engine.collateralBalance(address(this), 1), 1, "each kind of it");
        assertEq(engine.getCollateral(ODD).total, 0.14e12, "still there");
        engine.withdraw(address(odd), 0.14e12);
    }

    function test_dust_with_a_stale_price_keeps_no_bad_debt_alive() public {
        deposit(alice, odd, 1);
        grow(HEARTBEAT + 1);
        btcFeed.set(59_300e8);
        liquidate(alice, BTC, 10e18);
        assertEq(engine.settlementBalance(alice), 0, "written off");
    }

    function test_a_debt_waits_while_a_collateral_has_no_price_at_all() public {
        deposit(alice, odd, 1_000e12);
        silence(0);
        btcFeed.set(59_300e8);
        liquidate(alice, BTC, 10e18);
        assertTrue(engine.settlementBalance(alice) < 0, "it may be worth something");
        assertEq(engine.collateralBalance(alice, ODD), 1_000e12, "and stays hers");
        vm.clearMockedCalls();
        oddFeed.set(10e8);
        seize(alice, odd, 1_000_000e6);
        assertEq(engine.settlementBalance(alice) / 1e12, 0, "paid");
    }

    function test_dust_that_covers_the_debt_stays() public {
        deposit(alice, odd, 0.14e12); // counts 0.98
        btcFeed.set(59_330e8); // equity -299.02; the keeper's half of the penalty is 741.625
        deposit(alice, usd, 1_041e6);
        int256 fund = int256(engine.insuranceFund());
        liquidate(alice, BTC, 10e18);
        assertEq(engine.settlementBalance(alice), -0.98e18, "owes no more than she has");
        assertEq(engine.collateralBalance(alice, ODD), 0.14e12, "hers");
        assertTrue(int256(engine.insuranceFund()) >= fund, "nobody pays for her");
    }

    function test_other_collateral_is_sold_beside_a_stale_one() public {
        deposit(alice, odd, 1);
        deposit(alice, weth, 1e18);
        btcFeed.set(59_300e8);
        grow(HEARTBEAT + 1);
        ethFeed.set(100e18);
        liquidate(alice, BTC, 10e18);
        (, int256 answer,, uint256 updatedAt,) = oddFeed.latestRoundData();
        assertTrue(answer > 0, "a last price");
        vm.expectRevert(abi.encodeWithSelector(MarginEngine.StalePrice.selector, address(oddFeed), updatedAt));
        seize(alice, odd, 1e6);
        seize(alice, weth, 1_000e6);
        assertEq(engine.settlementBalance(alice), 0, "sold, and the rest written off");
    }

    // ---------------------------------------------------------------- deadlines

    function test_a_liquidation_is_not_done_after_its_deadline() public {
        btcFeed.set(59_600e8);
        vm.startPrank(keeper);
        vm.expectRevert(abi.encodeWithSelector(MarginEngine.Expired.selector, block.timestamp - 1));
        engine.liquidate(alice, BTC, 1e18, 0, block.timestamp - 1);
        engine.liquidate(alice, BTC, 1e18, 0, block.timestamp);
    }

    function test_a_seizure_is_not_done_after_its_deadline() public {
        deposit(alice, weth, 10e18);
        trade(alice, BTC, -10e18);
        btcFeed.set(59_300e8);
        trade(alice, BTC, 10e18);
        btcFeed.set(58_300e8);
        trade(alice, BTC, -10e18);
        vm.startPrank(keeper);
        vm.expectRevert(abi.encodeWithSelector(MarginEngine.Expired.selector, block.timestamp - 1));
        engine.seizeCollateral(alice, address(weth), 100e6, 0, block.timestamp - 1);
        engine.seizeCollateral(alice, address(weth), 100e6, 0, block.timestamp);
    }

    // ---------------------------------------------------------------- words

    /// The odd feed's last answer was that long ago.
    function grow(uint256 seconds_) private {
        oddFeed.setAt(10e8, block.timestamp - seconds_);
    }

    /// The ways in which a feed gives no price.
    function silence(uint256 way) private {
        address feed = address(oddFeed);
        if (way == 0) vm.mockCallRevert(feed, LATEST, "gone");
        else if (way == 1) vm.mockCall(feed, LATEST, abi.encode(uint256(1), int256(0), 1, block.timestamp, 1));
        else if (way == 2) vm.mockCall(feed, LATEST, abi.encode(uint256(1), int256(-10e8), 1, block.timestamp, 1));
        else if (way == 3) vm.mockCall(feed, LATEST, new bytes(159));
        else if (way == 4) vm.mockCall(feed, LATEST, abi.encode(uint256(1) << 80, int256(10e8), 1, block.timestamp, 1));
        else if (way == 5) vm.mockCall(feed, LATEST, abi.encode(1, int256(10e8), 1, block.timestamp, uint256(1) << 80));
        else vm.mockCall(feed, LATEST, "");
    }
}
