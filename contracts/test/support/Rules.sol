// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {MarginEngine} from "../../src/MarginEngine.sol";
import {IFeed} from "../../src/interfaces/IFeed.sol";
import {Wad} from "../../src/libraries/Wad.sol";
import {SettableFeed} from "../../src/mocks/SettableFeed.sol";
import {TestToken} from "../../src/mocks/TestToken.sol";
import {EngineTest} from "./EngineTest.sol";
import {vm} from "./Vm.sol";

/// The engine's rules restated, as checks of one action by the state before and after it, and counts of what was seen.
abstract contract Rules is EngineTest {
    struct Counts {
        uint256 trades;
        uint256 withdrawals;
        uint256 liquidations;
        uint256 partials; // left a position
        uint256 fulls; // closed one
        uint256 forced; // dust or a single step
        uint256 deep; // below half the requirement
        uint256 above; // health above the frontier before
        uint256 below; // and not
        uint256 upper; // began in an upper bracket
        uint256 seizures;
        uint256 badDebts;
        uint256 healthyRefused;
        uint256 overRefused;
        uint256 closeFactorRefused;
        uint256 dustRefused;
        uint256 capRefused;
        uint256 staleRefused;
        uint256 seizureRefused;
        uint256 oddDeposits;
        uint256 oddUnsafe; // liquidated beside a collateral without a fresh price
        uint256 giftsRefused;
    }

    struct Case {
        address account;
        uint256 market;
        uint256 held;
        uint256 size;
        uint256 price;
        int256 equity;
        uint256 requirement;
        uint256 keeperTokens;
        int256 funds;
        uint256 odd;
    }

    uint256 public constant ACTORS = 5;
    uint256 public constant COLLATERALS = 4; // with the settlement token, and one whose feed comes and goes
    uint256 internal constant ODD = 3;
    bytes internal constant LATEST = abi.encodeCall(IFeed.latestRoundData, ());
    TestToken internal odd = new TestToken("ODD", 12);
    SettableFeed internal oddFeed;
    bool internal oddIsSilent; // its feed reverts
    Counts internal counts;

    // ---------------------------------------------------------------- the rules, restated

    function checkLiquidated(Case memory c, uint256 reward) internal {
        MarginEngine.MarketParams memory params = engine.getMarket(c.market).params;
        uint256 left = Wad.mulUp(c.held - c.size, c.price);
        bool full = c.size == c.held;
        bool deep = c.equity * 2 < int256(c.requirement);
        bool small = Wad.mulUp(c.held, c.price) < 2 * uint256(params.minNotional) || c.held < 2 * uint256(params.step);
        (int256 equity, uint256 requirement) = engine.health(c.account);

        assertTrue(c.equity < int256(c.requirement), "a healthy account was liquidated");
        assertTrue(c.size <= c.held / 2 || deep || small, "more than the close factor");
        assertTrue(full || left >= params.minNotional, "dust");
        assertTrue(usd.balanceOf(keeper) - c.keeperTokens == reward, "reward");
        bool forced = (small && full) || c.size == params.step;
        uint256 counted = requirement;
        if (full) counted += Wad.mulUp(params.minNotional, engine.getBrackets(c.market)[0].rate);
        // Who was bankrupt cannot be restored: with a debt that was settled, what was left is gone.
        if (c.equity <= 0) {
            assertTrue(equity <= 8, "a bankrupt account was restored");
        } else {
            assertTrue(forced || equity * 1e18 <= int256(counted * engine.maxPostHealth()), "above the maximum health");
        }

        // HF > phi / r, with r of the bracket that the rest is in: rounding may cost a few wei
        int256 rate = int256(rateOf(c.market, left));
        bool above = c.equity * rate >= int256(uint256(params.penalty) * c.requirement);
        assertTrue(
            !above || (equity + 8) * int256(c.requirement) + 8 * c.equity >= c.equity * int256(requirement),
            "a liquidation above the frontier lowered health"
        );
        assertTrue(above || c.equity * 2 < int256(c.requirement), "below the frontier everything may be closed");
        count(c, full, forced, deep, above);
    }

    function count(Case memory c, bool full, bool forced, bool deep, bool above) internal {
        ++counts.liquidations;
        if (full) ++counts.fulls;
        else ++counts.partials;
        if (forced) ++counts.forced;
        if (deep) ++counts.deep;
        if (above) ++counts.above;
        else ++counts.below;
        if (rateOf(c.market, Wad.mulUp(c.held, c.price)) > rateOf(c.market, 0)) ++counts.upper;
        if (int256(engine.insuranceFund()) < c.funds) ++counts.badDebts;
        if (!oddIsFresh() && c.odd > 0) ++counts.oddUnsafe;
    }

    function checkRefused(Case memory c, bytes4 selector) internal {
        if (c.equity >= int256(c.requirement)) {
            assertTrue(selector == MarginEngine.NotLiquidatable.selector, "refused for another reason");
            ++counts.healthyRefused;
        } else if (selector == MarginEngine.OverLiquidation.selector) {
            ++counts.overRefused;
        } else if (selector == MarginEngine.CloseFactorExceeded.selector) {
            ++counts.closeFactorRefused;
        } else if (selector == MarginEngine.DustLeft.selector) {
            ++counts.dustRefused;
        } else if (selector == MarginEngine.BlockCapReached.selector) {
            ++counts.capRefused;
        } else {
            assertTrue(selector == MarginEngine.BadSize.selector && c.size > c.held, "refused for no reason");
        }
    }

    function tryTrade(address account, uint256 market, int256 delta) internal returns (bool) {
        vm.prank(account);
        try engine.trade(market, delta, delta > 0 ? ANY_PRICE : 0) {
            requireSafe(account);
            ++counts.trades;
            return true;
        } catch (bytes memory reason) {
            bytes4 selector = bytes4(reason);
            assertTrue(
                selector == MarginEngine.MarginTooLow.selector || selector == MarginEngine.DustLeft.selector
                    || selector == MarginEngine.OpenInterestTooHigh.selector,
                "a trade was refused for no reason"
            );
            return false;
        }
    }

    function requireSafe(address account) internal view {
        (int256 equity, uint256 requirement) = engine.health(account);
        equity -= int256(worthOfOldOdd(account));
        assertTrue(equity >= int256(requirement), "an account made itself unsafe");
    }

    // ---------------------------------------------------------------- questions

    function preferUnsafe(uint256 who) internal view returns (address) {
        for (uint256 i = 0; i < ACTORS; ++i) {
            address account = actor(who % ACTORS + i);
            (int256 equity, uint256 requirement) = engine.health(account);
            if (equity < int256(requirement)) return account;
        }
        return actor(who);
    }

    function theEngine() external view returns (MarginEngine) {
        return engine;
    }

    function theCounts() external view returns (Counts memory) {
        return counts;
    }

    function theKeeper() external view returns (address) {
        return keeper;
    }

    function actor(uint256 i) public pure returns (address) {
        return address(uint160(0xAC7000 + i % ACTORS));
    }

    function tokenOf(uint256 id) public view returns (TestToken) {
        return id == 0 ? usd : id == 1 ? wbtc : id == 2 ? weth : odd;
    }

    function feedOf(uint256 market) internal view returns (SettableFeed) {
        return market == BTC ? btcFeed : market == ETH ? ethFeed : solFeed;
    }

    function priceOf(uint256 market) public view returns (uint256) {
        (, int256 answer,,,) = feedOf(market).latestRoundData();
        return uint256(answer) * engine.getMarket(market).feedScale;
    }

    /// Whether the engine deals in the odd collateral now.
    function oddIsFresh() public view returns (bool) {
        (, int256 answer,, uint256 updatedAt,) = oddAnswer();
        return answer > 0 && answer < 1e30 && updatedAt + HEARTBEAT >= block.timestamp;
    }

    function oddAnswer() internal view returns (uint80, int256, uint256, uint256, uint80) {
        if (oddIsSilent) return (0, 0, 0, 0, 0);
        return oddFeed.latestRoundData();
    }

    /// What the odd collateral counts at a price that is too old for what its owner wants to do.
    function worthOfOldOdd(address account) internal view returns (uint256) {
        (, int256 answer,,,) = oddAnswer();
        if (oddIsFresh() || answer <= 0 || answer > 1e30) return 0;
        return engine.collateralBalance(account, ODD) * 1e6 * uint256(answer) * 1e10 * 0.7e18 / 1e36;
    }

    function hasPosition(address account) public view returns (bool) {
        return sizeOf(account, BTC) != 0 || sizeOf(account, ETH) != 0 || sizeOf(account, SOL) != 0;
    }

    function rateOf(uint256 market, uint256 notional) internal view returns (uint256 rate) {
        MarginEngine.Bracket[] memory tiers = engine.getBrackets(market);
        for (uint256 k = 0; k < tiers.length && tiers[k].floor <= notional; ++k) {
            rate = tiers[k].rate;
        }
    }

    function abs(int256 value) internal pure returns (uint256) {
        return value < 0 ? uint256(-value) : uint256(value);
    }
}
