// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {MarginEngine} from "../src/MarginEngine.sol";
import {Wad} from "../src/libraries/Wad.sol";
import {EngineTest} from "./support/EngineTest.sol";
import {vm} from "./support/Vm.sol";

/// Properties of single actions over random amounts and prices.
contract FuzzTest is EngineTest {
    function testFuzz_rounding_goes_where_the_name_says(int128 a, int128 b) public pure {
        int256 product = int256(a) * b;
        int256 floor = Wad.mulFloor(a, b);
        int256 ceil = Wad.mulCeil(a, b);
        assertTrue(floor * 1e18 <= product && product - floor * 1e18 < 1e18, "floor");
        assertTrue(ceil * 1e18 >= product && ceil * 1e18 - product < 1e18, "ceiling");
    }

    function testFuzz_unsigned_rounding_goes_where_the_name_says(uint128 a, uint128 b) public pure {
        uint256 product = uint256(a) * b;
        uint256 down = Wad.mulDown(a, b);
        uint256 up = Wad.mulUp(a, b);
        assertTrue(down * 1e18 <= product && product - down * 1e18 < 1e18, "down");
        assertTrue(up * 1e18 >= product && up * 1e18 - product < 1e18, "up");
    }

    function testFuzz_what_is_deposited_can_be_withdrawn(uint96 dollars, uint96 coins) public {
        uint256 usdAmount = uint256(dollars) + 1;
        uint256 wbtcAmount = uint256(coins) % 1_000e8 + 1;
        deposit(alice, usd, usdAmount);
        deposit(alice, wbtc, wbtcAmount);
        vm.startPrank(alice);
        engine.withdraw(address(usd), usdAmount);
        engine.withdraw(address(wbtc), wbtcAmount);
        vm.stopPrank();
        assertEq(usd.balanceOf(alice), usdAmount, "usd");
        assertEq(wbtc.balanceOf(alice), wbtcAmount, "wbtc");
        assertEq(equityOf(alice), 0, "equity");
    }

    function testFuzz_a_trade_costs_its_fee_and_at_most_three_wei(int32 first, int32 second, uint128 price) public {
        deposit(alice, usd, 1_000_000_000_000e6);
        int256 opened = bounded(first);
        trade(alice, ETH, opened);
        uint256 answer = uint256(price) % 100_000e18 + 1_000e18;
        ethFeed.set(int256(answer));
        int256 delta = bounded(second);
        vm.assume(opened + delta == 0 || abs(opened + delta) >= 0.1e18);
        int256 equity = equityOf(alice);
        trade(alice, ETH, delta);
        int256 fee = int256(Wad.mulUp(Wad.mulUp(abs(delta), answer), 0.0005e18));
        int256 lost = equity - fee - equityOf(alice);
        assertTrue(lost >= 0 && lost <= 3, "rounding is against the account, and small");
    }

    function testFuzz_profit_is_rounded_down(int32 seed, uint128 price) public {
        deposit(alice, usd, 1_000_000_000_000e6);
        int256 size = bounded(seed);
        trade(alice, ETH, size);
        int256 before = equityOf(alice);
        int256 answer = int256(uint256(price) % 100_000e18 + 1_000e18);
        ethFeed.set(answer);
        int256 exact = before * 1e18 + size * (answer - 3_000e18);
        int256 rounded = equityOf(alice) * 1e18;
        assertTrue(rounded <= exact && exact - rounded < 1e18, "less than a wei below");
    }

    function testFuzz_funding_owed_is_rounded_up(int32 seed, uint24 time) public {
        deposit(alice, usd, 1_000_000_000_000e6);
        deposit(bob, usd, 1_000e6);
        ethFeed.set(3_000e18 + 7);
        int256 size = bounded(seed);
        trade(alice, ETH, size);
        int256 before = equityOf(alice);
        pass(uint256(time) + 1);
        trade(bob, ETH, 0.1e18); // stores the index
        int256 exact = before * 1e18 - size * engine.getMarket(ETH).fundingIndex;
        int256 rounded = equityOf(alice) * 1e18;
        assertTrue(rounded <= exact && exact - rounded < 1e18, "less than a wei below");
    }

    function testFuzz_funding_only_moves_money_between_accounts_and_the_pool(int32 a, int32 b, uint24 time) public {
        deposit(alice, usd, 1_000_000_000_000e6);
        deposit(bob, usd, 1_000_000_000_000e6);
        trade(alice, BTC, bounded(a));
        trade(bob, BTC, bounded(b));
        pass(uint256(time) + 1);
        int256 index = engine.getMarket(BTC).fundingIndex;
        trade(alice, BTC, -sizeOf(alice, BTC));
        trade(bob, BTC, -sizeOf(bob, BTC));
        int256 owed = engine.settlementBalance(alice) + engine.settlementBalance(bob) + engine.pool();
        assertEq(owed, int256(usd.balanceOf(address(engine)) * 1e12), "conserved");
        int256 skew = bounded(a) + bounded(b);
        int256 moved = engine.getMarket(BTC).fundingIndex - index;
        assertTrue(skew == 0 ? moved == 0 : (skew > 0) == (moved > 0), "the larger side owes");
    }

    function testFuzz_the_requirement_is_the_integral_of_the_rates(uint32 thousandths) public {
        deposit(alice, usd, 1_000_000_000_000e6);
        uint256 size = (uint256(thousandths) % 200_000 + 10) * 0.001e18;
        trade(alice, BTC, int256(size));
        uint256 notional = size * 60_000;
        uint256 margin = min(notional, 600_000e18) * 5 / 1000;
        if (notional > 600_000e18) margin += (min(notional, 3_000_000e18) - 600_000e18) / 100;
        if (notional > 3_000_000e18) margin += (notional - 3_000_000e18) / 50;
        assertEq(requirementOf(alice), margin, "requirement");
    }

    function testFuzz_no_healthy_account_is_liquidated(uint32 size, uint64 price, uint32 closed) public {
        deposit(alice, usd, 1_000_000e6);
        trade(alice, BTC, int256(uint256(size) % 150_000 + 2) * 0.001e18);
        btcFeed.set(int256(uint256(price) % 20_000e8 + 50_000e8));
        (int256 equity, uint256 requirement) = engine.health(alice);
        vm.assume(equity >= int256(requirement));
        expectNotLiquidatable(alice);
        liquidate(alice, BTC, uint256(closed) * 0.001e18);
    }

    /// x = (H MM - E) / (H r - phi), for a random equity and target.
    function testFuzz_the_closed_form_is_the_largest_size_accepted(uint64 debit, uint64 target) public {
        MarginEngine.MarketParams memory params = ethParams();
        params.tradingFee = 0;
        params.minNotional = 1e18;
        engine.configureMarket(ETH, params, flatTier(0.05e18));
        engine.setLimits(1e18 + uint256(target) % 0.25e18, 10_000e18);
        deposit(alice, usd, 3_000e6);
        trade(alice, ETH, 10e18); // requirement 1,500
        uint256 lost = uint256(debit) % 7e18 + 157.9e18; // equity 1,421 down to 1,351, requirement 1,421
        ethFeed.set(int256(3_000e18 - lost));
        (int256 equity, uint256 requirement) = engine.health(alice);
        assertTrue(equity < int256(requirement), "unsafe");
        uint256 h = engine.maxPostHealth();
        uint256 missing = h * requirement - uint256(equity) * 1e18;
        uint256 x = missing / (h * 0.05e18 / 1e18 - 0.005e18) * 1e18 / (3_000e18 - lost);
        x -= x % 0.01e18;
        uint256 size = x < 0.01e18 ? 0.01e18 : x;
        vm.assume(size + 0.01e18 <= 5e18);
        vm.expectPartialRevert(MarginEngine.OverLiquidation.selector);
        liquidate(alice, ETH, size + 0.01e18);
        liquidate(alice, ETH, size);
    }

    function testFuzz_a_seizure_never_lowers_equity(uint64 price, uint64 repay, uint64 coins) public {
        deposit(alice, weth, 10e18);
        deposit(alice, wbtc, uint256(coins) % 10e8 + 1);
        trade(alice, BTC, 1e18);
        btcFeed.set(50_000e8);
        trade(alice, BTC, -1e18);
        btcFeed.set(int256(uint256(price) % 1_000_000e8 + 1e8));
        int256 equity = equityOf(alice);
        vm.prank(keeper);
        usd.approve(address(engine), type(uint256).max);
        vm.prank(keeper);
        try engine.seizeCollateral(alice, address(wbtc), uint256(repay) % 20_000e6, 0, block.timestamp) {
            assertTrue(equityOf(alice) >= equity, "equity");
        } catch (bytes memory reason) {
            assertTrue(bytes4(reason) == MarginEngine.TooLittleOut.selector, "too little for a unit");
        }
    }

    /// A size of 0.1 to 10,000, long or short.
    function bounded(int32 seed) private pure returns (int256) {
        int256 size = int256(abs(seed) % 999_991 + 10) * 0.01e18;
        return seed < 0 ? -size : size;
    }

    function abs(int256 value) private pure returns (uint256) {
        return value < 0 ? uint256(-value) : uint256(value);
    }

    function min(uint256 a, uint256 b) private pure returns (uint256) {
        return a < b ? a : b;
    }
}
