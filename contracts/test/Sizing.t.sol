// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {MarginEngine} from "../src/MarginEngine.sol";
import {SettableFeed} from "../src/mocks/SettableFeed.sol";
import {EngineTest} from "./support/EngineTest.sol";
import {vm} from "./support/Vm.sol";

/// The closed forms of a partial liquidation, as the largest size that the engine accepts when H is `maxPostHealth`.
///
/// Flat margin: x = (H MM - E) / (H r - phi). Brackets, from the top down, with y what remains:
/// y = (E - phi N + H c_k) / (H r_k - phi), the one that lies in its bracket.
contract SizingTest is EngineTest {
    uint256 private market;

    function test_flat_margin_at_health_1() public {
        expectLargest(flatAccount(), 1e18, 2_500e18);
    }

    function test_flat_margin_at_health_1_10() public {
        expectLargest(flatAccount(), 1.1e18, 4_444.444e18);
    }

    function test_flat_margin_at_health_1_25() public {
        expectLargest(flatAccount(), 1.25e18, 6_666.666e18);
    }

    function test_brackets_where_the_remainder_falls_into_a_lower_one() public {
        // sized by the current bracket's rate it would be 648,095: 18 % too little
        expectLargest(tieredAccount(18_000e6, 0.0005e18), 1.1e18, 791_729.323e18);
    }

    function test_brackets_where_the_remainder_stays_next_to_the_top() public {
        expectLargest(tieredAccount(20_000e6, 0.001e18), 1.05e18, 387_105.263e18);
    }

    /// E = 900, MM = 1,000 at r = 5 %, phi = 1 %.
    function flatAccount() private returns (address) {
        return account(900e6, 20_000e18, 0.01e18, flatTier(0.05e18));
    }

    function tieredAccount(uint256 equity, uint64 penalty) private returns (address) {
        MarginEngine.Bracket[] memory tiers = new MarginEngine.Bracket[](5);
        tiers[0] = MarginEngine.Bracket(0, 0.004e18, 0);
        tiers[1] = MarginEngine.Bracket(50_000e18, 0.005e18, 50e18);
        tiers[2] = MarginEngine.Bracket(600_000e18, 0.0065e18, 950e18);
        tiers[3] = MarginEngine.Bracket(3_000_000e18, 0.01e18, 11_450e18);
        tiers[4] = MarginEngine.Bracket(12_000_000e18, 0.02e18, 131_450e18);
        return account(equity, 3_400_000e18, penalty, tiers);
    }

    /// A long at price 1 without fees. It is opened while little margin is needed, and the brackets come afterwards.
    function account(uint256 equity, int256 size, uint64 penalty, MarginEngine.Bracket[] memory tiers)
        private
        returns (address)
    {
        MarginEngine.MarketParams memory params = marketParams(new SettableFeed(8, 1e8), penalty, 0.001e18);
        params.tradingFee = 0;
        params.maxOpenInterest = 10_000_000e18;
        params.maxFundingRate = 0;
        params.initialFactor = 1e18;
        params.penalty = 0;
        market = engine.listMarket("ONE", params, flatTier(0.0001e18));
        deposit(alice, usd, equity);
        trade(alice, market, size);
        params.penalty = penalty;
        engine.configureMarket(market, params, tiers);
        return alice;
    }

    function expectLargest(address unsafe, uint256 maxPostHealth, uint256 size) private {
        engine.setLimits(maxPostHealth, 10_000e18);
        (int256 equity, uint256 requirement) = engine.health(unsafe);
        assertTrue(equity < int256(requirement), "unsafe before");
        vm.expectPartialRevert(MarginEngine.OverLiquidation.selector); // one step more
        vm.prank(keeper);
        engine.liquidate(unsafe, market, size + 0.001e18, 0, block.timestamp);
        liquidate(unsafe, market, size);
        (equity, requirement) = engine.health(unsafe);
        uint256 reached = uint256(equity) * 1e18 / requirement;
        assertTrue(reached <= maxPostHealth && reached > maxPostHealth - 0.0000001e18, "the health aimed at");
    }
}
