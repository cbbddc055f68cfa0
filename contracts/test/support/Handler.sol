// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {MarginEngine} from "../../src/MarginEngine.sol";
import {SettableFeed} from "../../src/mocks/SettableFeed.sol";
import {TestToken} from "../../src/mocks/TestToken.sol";
import {Rules} from "./Rules.sol";
import {vm} from "./Vm.sol";

/// What random callers do to the engine: each success must be a legal one, and each refusal one of the engine's own.
/// Counts what it reached, so that a test can tell whether the invariants saw anything.
contract Handler is Rules {
    int256[3] private firstAnswers;

    function setUp() public override {
        super.setUp();
        oddFeed = new SettableFeed(8, 10e8);
        engine.listCollateral(odd, collateralParams(oddFeed, 0.7e18, 0.1e18, 1e24));
        give(keeper, usd, 1e24);
        engine.fundInsurance(50_000e6);
        engine.setLimits(1.25e18, 20_000e18);
        for (uint256 id = 0; id < 3; ++id) {
            (, firstAnswers[id],,,) = feedOf(id).latestRoundData();
        }
        for (uint256 i = 0; i < ACTORS; ++i) {
            deposit(actor(i), usd, i == 0 ? 5e6 : 20_000e6 * i); // the first one's positions are next to dust
        }
    }

    // ---------------------------------------------------------------- actions

    function putIn(uint256 who, uint256 what, uint256 amount) external {
        uint256 dollars = who % ACTORS == 0 ? amount % 20 + 1 : amount % 60_000 + 10;
        if (what % 4 == 0) deposit(actor(who), usd, dollars * 1e6);
        if (what % 4 == 1 && engine.getCollateral(1).total < 900e8) deposit(actor(who), wbtc, dollars * 1e8 / 60_000);
        if (what % 4 == 2 && engine.getCollateral(2).total < 40_000e18) {
            deposit(actor(who), weth, dollars * 1e18 / 3_000);
        }
        if (what % 4 == 3) putInOdd(actor(who), amount % 3 == 0 ? 1 : dollars * 1e12 / 10);
    }

    /// A collateral without a fresh price is not taken in.
    function putInOdd(address account, uint256 units) private {
        give(account, odd, units);
        bool fresh = oddIsFresh();
        vm.prank(account);
        try engine.deposit(address(odd), units) {
            assertTrue(fresh, "taken in without a price");
            ++counts.oddDeposits;
        } catch {
            assertTrue(!fresh, "a deposit was refused for no reason");
        }
    }

    /// What others give is no dust.
    function give(uint256 who, uint256 what, uint256 units) external {
        units = units % (2 * LEAST_GIFT) + 1;
        TestToken token = tokenOf(what % COLLATERALS);
        if (token == odd && !oddIsFresh()) return;
        give(keeper, token, units);
        uint256 least = token == usd ? 1e6 : LEAST_GIFT;
        vm.prank(keeper);
        try engine.depositFor(actor(who), address(token), units) {
            assertTrue(units >= least, "a gift of dust");
        } catch (bytes memory reason) {
            assertTrue(bytes4(reason) == MarginEngine.GiftTooSmall.selector && units < least, "a gift was refused");
            ++counts.giftsRefused;
        }
    }

    /// The odd collateral's feed gets a price, grows old, or gives none.
    function moveOdd(uint256 mode, uint256 price) external {
        vm.clearMockedCalls();
        oddIsSilent = mode % 8 == 7;
        if (oddIsSilent) vm.mockCallRevert(address(oddFeed), LATEST, "silent");
        else if (mode % 8 == 6) oddFeed.set(0);
        else if (mode % 8 == 5) oddFeed.set(-int256(price));
        else if (mode % 8 == 4) oddFeed.set(1e31);
        else if (mode % 8 == 3) oddFeed.setAt(10e8, block.timestamp - HEARTBEAT - 1);
        else oddFeed.set(int256(price % 12e8 + 4e8));
    }

    function takeOut(uint256 who, uint256 what, uint256 share) external {
        TestToken token = tokenOf(what % COLLATERALS);
        int256 settlement = engine.settlementBalance(actor(who));
        uint256 balance = engine.collateralBalance(actor(who), what % COLLATERALS);
        if (what % COLLATERALS == 0) balance = settlement > 0 ? uint256(settlement) / 1e12 : 0;
        uint256 amount = balance * (share % 101) / 100;
        if (amount == 0) return;
        vm.prank(actor(who));
        try engine.withdraw(address(token), amount) {
            requireSafe(actor(who));
            ++counts.withdrawals;
        } catch (bytes memory reason) {
            assertTrue(bytes4(reason) == MarginEngine.MarginTooLow.selector, "a withdrawal was refused for no reason");
        }
    }

    /// Opens or adds with a leverage of up to 100; one time in four it reduces.
    function buyOrSell(uint256 who, uint256 where, uint256 seed) external {
        address account = actor(who);
        (int256 equity,) = engine.health(account);
        if (equity <= 0) return;
        uint256 market = where % 3;
        uint256 step = engine.getMarket(market).params.step;
        uint256 size = uint256(equity) * (seed % 100 + 1) * 1e18 / priceOf(market);
        int256 held = sizeOf(account, market);
        if (seed / 100 % 4 == 0) size = abs(held) * (seed / 400 % 11) / 10;
        bool buys = seed / 100 % 4 == 0 ? held < 0 : seed / 100 % 4 == 1;
        for (uint256 i = 0; i < 3 && size >= step; ++i) {
            if (tryTrade(account, market, buys ? int256(size - size % step) : -int256(size - size % step))) break;
            size /= 3;
        }
    }

    function movePrice(uint256 where, uint256 seed) external {
        (, int256 answer,,,) = feedOf(where % 3).latestRoundData();
        uint256 permille = seed % 16 == 0 ? 800 + seed / 16 % 401 : 990 + seed / 16 % 21; // a jump, or a move
        setPrice(where % 3, answer * int256(permille) / 1000);
    }

    /// Moves a price so that an account comes to a health of 0.3 to 1.
    function pushOverTheEdge(uint256 who, uint256 where, uint256 seed) external {
        int256 size = sizeOf(actor(who), where % 3);
        if (size == 0) return;
        (int256 equity, uint256 requirement) = engine.health(actor(who));
        int256 toLose = equity - int256(requirement) * int256(seed % 71 + 30) / 100;
        int256 move = toLose * 1e18 / size / int256(uint256(engine.getMarket(where % 3).feedScale));
        (, int256 answer,,,) = feedOf(where % 3).latestRoundData();
        setPrice(where % 3, answer - move);
    }

    function nextBlock(uint256 seconds_) external {
        vm.roll(block.number + 1);
        pass(seconds_ % 6 hours + 1);
    }

    /// Within a market whose feed is stale, nothing can be done to anybody.
    function letFeedsGoStale(uint256 who, uint256 where) external {
        vm.warp(block.timestamp + HEARTBEAT + 1);
        vm.prank(keeper);
        try engine.liquidate(actor(who), where % 3, 1e18, 0, block.timestamp) {
            assertTrue(false, "liquidated at a stale price");
        } catch (bytes memory reason) {
            assertTrue(bytes4(reason) == MarginEngine.StalePrice.selector, "stale");
            ++counts.staleRefused;
        }
        pass(0);
    }

    function closeForThem(uint256 who, uint256 where, uint256 seed) external {
        Case memory c;
        c.account = preferUnsafe(who);
        for (uint256 i = 0; i < 3 && c.held == 0; ++i) {
            c.market = (where % 3 + i) % 3;
            c.held = abs(sizeOf(c.account, c.market));
        }
        if (c.held == 0) return;
        uint256 step = engine.getMarket(c.market).params.step;
        uint256 mode = seed % 6;
        if (mode == 0 || mode == 5) c.size = c.held;
        if (mode == 1) c.size = step;
        if (mode == 2) c.size = c.held / 2;
        if (mode == 3) c.size = c.held * (seed / 5 % 1000) / 1000;
        if (mode == 4) c.size = c.held * (seed / 5 % 1000) / 4000;
        if (mode > 1 && mode < 5) c.size = c.size < step ? step : c.size - c.size % step;
        c.price = priceOf(c.market);
        (c.equity, c.requirement) = engine.health(c.account);
        c.keeperTokens = usd.balanceOf(keeper);
        c.funds = int256(engine.insuranceFund());
        c.odd = engine.collateralBalance(c.account, ODD);
        vm.prank(keeper);
        try engine.liquidate(c.account, c.market, c.size, 0, block.timestamp) returns (uint256 reward) {
            checkLiquidated(c, reward);
        } catch (bytes memory reason) {
            checkRefused(c, bytes4(reason));
        }
    }

    function buyCollateral(uint256 who, uint256 what, uint256 repay) external {
        address account = preferUnsafe(who);
        for (uint256 i = 0; i < ACTORS && engine.settlementBalance(account) >= 0; ++i) {
            account = actor(who % ACTORS + i);
        }
        uint256 id = what % 3 + 1;
        for (uint256 i = 0; i < 3 && engine.collateralBalance(account, id) == 0; ++i) {
            id = id % 3 + 1;
        }
        int256 debt = -engine.settlementBalance(account);
        (int256 equity, uint256 requirement) = engine.health(account);
        uint256 balance = engine.collateralBalance(account, id);
        vm.prank(keeper);
        try engine.seizeCollateral(account, address(tokenOf(id)), repay % 500_000e6, 0, block.timestamp) returns (
            uint256 amount, uint256 repaid
        ) {
            assertTrue(
                debt > 0
                    && (!hasPosition(account) || uint256(debt) > engine.debtLimit() || equity < int256(requirement)),
                "seized without a right"
            );
            assertTrue(equityOf(account) >= equity, "a seizure lowered the equity");
            assertTrue(id != ODD || oddIsFresh(), "sold without a price");
            // What was not repaid and is owed no more was written off, and the dust is gone with it.
            bool writtenOff = engine.settlementBalance(account) == 0 && uint256(debt) > repaid * 1e12;
            assertTrue(!writtenOff || (equity < 0 && !hasPosition(account)), "a debt was written off too early");
            assertTrue(engine.collateralBalance(account, id) == (writtenOff ? 0 : balance - amount), "taken");
            ++counts.seizures;
            if (!hasPosition(account) && equity < 0 && equityOf(account) == 0) ++counts.badDebts;
        } catch (bytes memory reason) {
            bytes4 selector = bytes4(reason);
            if (selector == MarginEngine.NotSeizable.selector) ++counts.seizureRefused;
            else if (id == ODD && !oddIsFresh()) ++counts.staleRefused;
            else assertTrue(selector == MarginEngine.TooLittleOut.selector, "a seizure was refused for no reason");
        }
    }

    function setPrice(uint256 market, int256 answer) private {
        int256 first = firstAnswers[market];
        feedOf(market).set(answer * 8 < first || answer > first * 8 ? first : answer);
    }
}
