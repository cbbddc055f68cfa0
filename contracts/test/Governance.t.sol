// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";
import {Pausable} from "@openzeppelin/contracts/utils/Pausable.sol";
import {MarginEngine} from "../src/MarginEngine.sol";
import {IFeed} from "../src/interfaces/IFeed.sol";
import {SettableFeed} from "../src/mocks/SettableFeed.sol";
import {TestToken} from "../src/mocks/TestToken.sol";
import {EngineTest} from "./support/EngineTest.sol";
import {vm} from "./support/Vm.sol";

/// Listing, configuration, limits, pause and the funds.
contract GovernanceTest is EngineTest {
    function test_the_settlement_token_is_collateral_0_at_par() public view {
        MarginEngine.Collateral memory collateral = engine.getCollateral(0);
        assertEq(address(collateral.token), address(usd), "token");
        assertEq(collateral.scale, 1e12, "scale");
        assertEq(collateral.params.weight, 1e18, "weight");
        assertEq(engine.collateralCount(), 3, "collaterals");
        assertEq(engine.marketCount(), 3, "markets");
        assertEq(engine.collateralId(address(weth)), 2, "id");
    }

    function test_only_the_owner_configures() public {
        bytes memory refusal = abi.encodeWithSelector(Ownable.OwnableUnauthorizedAccount.selector, alice);
        MarginEngine.CollateralParams memory params = collateralParams(btcFeed, 0.9e18, 0, 1);
        MarginEngine.MarketParams memory market = btcParams();
        MarginEngine.Bracket[] memory tiers = btcTiers();
        vm.startPrank(alice);
        vm.expectRevert(refusal);
        engine.listCollateral(wbtc, params);
        vm.expectRevert(refusal);
        engine.configureCollateral(1, params);
        vm.expectRevert(refusal);
        engine.listMarket("NEW", market, tiers);
        vm.expectRevert(refusal);
        engine.configureMarket(BTC, market, tiers);
        vm.expectRevert(refusal);
        engine.setLimits(1e18, 0);
        vm.expectRevert(refusal);
        engine.pause();
        vm.expectRevert(refusal);
        engine.unpause();
        vm.expectRevert(refusal);
        engine.withdrawPool(1);
        vm.stopPrank();
    }

    function test_listing_a_collateral_announces_it() public {
        TestToken token = new TestToken("NEW", 2);
        MarginEngine.CollateralParams memory params = collateralParams(btcFeed, 0.5e18, 0.5e18, 7);
        vm.expectEmit(address(engine));
        emit MarginEngine.CollateralListed(3, address(token), 2, "NEW");
        vm.expectEmit(address(engine));
        emit MarginEngine.CollateralConfigured(3, params, 8);
        assertEq(engine.listCollateral(token, params), 3, "id");
        assertEq(engine.getCollateral(3).scale, 1e16, "token units to 1e18");
        assertEq(engine.getCollateral(3).feedScale, 1e10, "feed answers to 1e18");
    }

    function test_listing_a_market_announces_it() public {
        vm.expectEmit(address(engine));
        emit MarginEngine.MarketListed(3, "NEW");
        vm.expectEmit(address(engine));
        emit MarginEngine.MarketConfigured(3, solParams(), 6);
        vm.expectEmit(address(engine));
        emit MarginEngine.BracketsConfigured(3, solTiers());
        vm.expectEmit(address(engine));
        emit MarginEngine.MarketChanged(3, 0, 0, 0, block.timestamp);
        assertEq(engine.listMarket("NEW", solParams(), solTiers()), 3, "id");
        assertEq(engine.getBrackets(3).length, 3, "brackets");
        assertEq(engine.getMarket(3).params.step, 10e18, "step");
    }

    function test_a_token_is_listed_once() public {
        MarginEngine.CollateralParams memory params = collateralParams(btcFeed, 0.9e18, 0, 1);
        expectBadParameter("listed twice");
        engine.listCollateral(wbtc, params);
        expectBadParameter("listed twice");
        engine.listCollateral(usd, params);
    }

    function test_no_more_than_64_collaterals_and_64_markets_are_listed() public {
        for (uint256 i = 3; i < 64; ++i) {
            engine.listCollateral(new TestToken("T", 18), collateralParams(btcFeed, 0.9e18, 0, 1));
            engine.listMarket("NEW", btcParams(), flatTier(0.005e18));
        }
        TestToken token = new TestToken("T", 18);
        expectBadParameter("too many collaterals");
        engine.listCollateral(token, collateralParams(btcFeed, 0.9e18, 0, 1));
        MarginEngine.MarketParams memory params = btcParams();
        expectBadParameter("too many markets");
        engine.listMarket("NEW", params, flatTier(0.005e18));
    }

    function test_tokens_and_feeds_of_more_than_18_decimals_are_refused() public {
        TestToken token = new TestToken("T", 19);
        expectBadParameter("decimals");
        engine.listCollateral(token, collateralParams(btcFeed, 0.9e18, 0, 1));
        SettableFeed feed = new SettableFeed(19, 1e19);
        expectBadParameter("decimals");
        engine.configureCollateral(1, collateralParams(feed, 0.9e18, 0, 1));
    }

    function test_a_seizure_could_not_lower_equity_under_any_accepted_collateral() public {
        MarginEngine.CollateralParams memory params = collateralParams(btcFeed, 0.9e18, 0.1e18 + 1, 1);
        expectBadParameter("weight");
        engine.configureCollateral(1, params);
        params.discount = 1e18;
        expectBadParameter("discount");
        engine.configureCollateral(1, params);
        params.discount = 0.1e18;
        params.cap = uint128(type(uint96).max) + 1;
        expectBadParameter("cap");
        engine.configureCollateral(1, params);
        params = collateralParams(btcFeed, 0.9e18, 0.1e18, 1);
        params.minGift = 0;
        expectBadParameter("minGift");
        engine.configureCollateral(1, params);
    }

    function test_the_settlement_token_and_unknown_ids_are_not_configured() public {
        MarginEngine.CollateralParams memory params = collateralParams(btcFeed, 0.9e18, 0, 1);
        vm.expectRevert(abi.encodeWithSelector(MarginEngine.UnknownCollateral.selector, address(0)));
        engine.configureCollateral(0, params);
        vm.expectRevert(abi.encodeWithSelector(MarginEngine.UnknownCollateral.selector, address(0)));
        engine.configureCollateral(3, params);
        MarginEngine.MarketParams memory market = btcParams();
        vm.expectRevert(abi.encodeWithSelector(MarginEngine.UnknownMarket.selector, 3));
        engine.configureMarket(3, market, flatTier(0.01e18));
    }

    function test_market_parameters_out_of_range_are_refused_by_name() public {
        MarginEngine.MarketParams memory params = btcParams();
        params.penalty += 1;
        refused(params, "penalty");
        params = btcParams();
        params.keeperShare = 1e18 + 1;
        refused(params, "keeperShare");
        params = btcParams();
        params.tradingFee = 0.1e18 + 1;
        refused(params, "tradingFee");
        params = btcParams();
        params.initialFactor = 1e18 - 1;
        refused(params, "initialFactor");
        params = btcParams();
        params.maxFundingRate = 1e18 + 1;
        refused(params, "maxFundingRate");
        params = btcParams();
        params.skewScale = 0;
        refused(params, "skewScale");
        params = btcParams();
        params.step = 0;
        refused(params, "step");
        params.step = 42e18; // two of them are worth more than the block cap
        refused(params, "step");
        params = btcParams();
        params.blockCap = 200e18 - 1;
        refused(params, "blockCap");
        params = btcParams();
        params.maxOpenInterest = uint128(type(uint96).max) + 1;
        refused(params, "maxOpenInterest");
    }

    function test_brackets_that_are_not_convex_and_continuous_are_refused() public {
        MarginEngine.Bracket[] memory tiers = btcTiers();
        refused(new MarginEngine.Bracket[](0), "brackets");
        refused(flatTier(0), "brackets");
        refused(flatTier(1e18), "brackets");
        tiers[0].floor = 1;
        refused(tiers, "brackets");
        tiers = btcTiers();
        tiers[0].offset = 1;
        refused(tiers, "brackets");
        tiers = btcTiers();
        tiers[2].floor = tiers[1].floor;
        refused(tiers, "brackets");
        tiers = btcTiers();
        tiers[2].rate = tiers[1].rate - 1;
        refused(tiers, "brackets");
        tiers = btcTiers();
        tiers[2].rate = 1e18;
        refused(tiers, "brackets");
        tiers = btcTiers();
        tiers[1].offset += 1;
        refused(tiers, "offset");
        tiers = btcTiers();
        tiers[2].offset -= 1;
        refused(tiers, "offset");
    }

    function test_an_exchanges_published_brackets_are_accepted() public {
        uint64[8] memory rates = [0.004e18, 0.005e18, 0.0065e18, 0.01e18, 0.02e18, 0.025e18, 0.05e18, uint64(0.1e18)];
        uint128[8] memory floors =
            [0, 50_000, 600_000, 3_000_000, 12_000_000, 70_000_000, 100_000_000, uint128(230_000_000)];
        uint128[8] memory offsets = [0, 50, 950, 11_450, 131_450, 481_450, 2_981_450, uint128(14_481_450)];
        MarginEngine.Bracket[] memory tiers = new MarginEngine.Bracket[](8);
        for (uint256 k = 0; k < 8; ++k) {
            tiers[k] = MarginEngine.Bracket(floors[k] * 1e18, rates[k], offsets[k] * 1e18);
        }
        MarginEngine.MarketParams memory params = btcParams();
        params.penalty = 0.002e18;
        engine.configureMarket(BTC, params, tiers);
        assertEq(engine.getBrackets(BTC)[7].offset, 14_481_450e18, "offset");
    }

    function test_limits_are_announced_and_bounded() public {
        vm.expectEmit(address(engine));
        emit MarginEngine.LimitsConfigured(1.1e18, 5e18);
        engine.setLimits(1.1e18, 5e18);
        assertEq(engine.maxPostHealth(), 1.1e18, "maxPostHealth");
        assertEq(engine.debtLimit(), 5e18, "debtLimit");
        expectBadParameter("maxPostHealth");
        engine.setLimits(1e18 - 1, 0);
        expectBadParameter("maxPostHealth");
        engine.setLimits(10e18 + 1, 0);
    }

    function test_a_dead_feed_is_replaced_by_a_live_one_only() public {
        deposit(alice, usd, 100_000e6);
        trade(alice, BTC, 1e18);
        vm.warp(block.timestamp + 1 days);
        MarginEngine.MarketParams memory params = btcParams();
        vm.expectRevert(
            abi.encodeWithSelector(MarginEngine.StalePrice.selector, address(btcFeed), block.timestamp - 1 days)
        );
        engine.configureMarket(BTC, params, btcTiers());
        params.feed = new SettableFeed(18, 50_000e18);
        engine.configureMarket(BTC, params, btcTiers());
        // a day at 3 % of the skew's share of 1/1000, at the new price
        assertEq(engine.getMarket(BTC).fundingIndex, 1.5e18, "funding so far");
        assertEq(equityOf(alice), 100_000e18 - 30e18 - 10_000e18 - 1.5e18, "equity");
    }

    function test_configuration_does_not_change_funding_that_has_accrued() public {
        deposit(alice, usd, 100_000e6);
        trade(alice, BTC, 1e18);
        pass(1 days);
        int256 before = equityOf(alice);
        MarginEngine.MarketParams memory params = btcParams();
        params.maxFundingRate = 0;
        engine.configureMarket(BTC, params, btcTiers());
        assertEq(equityOf(alice), before, "at once");
        pass(1 days);
        assertEq(equityOf(alice), before, "a day later");
    }

    function test_the_pause_stops_everything_but_deposits_and_funding() public {
        deposit(alice, usd, 1_000e6);
        engine.pause();
        vm.expectRevert(Pausable.EnforcedPause.selector);
        engine.trade(BTC, 1e18, ANY_PRICE);
        vm.expectRevert(Pausable.EnforcedPause.selector);
        engine.withdraw(address(usd), 1);
        vm.expectRevert(Pausable.EnforcedPause.selector);
        engine.liquidate(alice, BTC, 1, 0, block.timestamp);
        vm.expectRevert(Pausable.EnforcedPause.selector);
        engine.seizeCollateral(alice, address(weth), 1, 0, block.timestamp);
        deposit(alice, usd, 1_000e6);
        engine.fundInsurance(1);
        engine.fundPool(1);
        engine.unpause();
        trade(alice, BTC, 0.1e18);
    }

    function test_the_pool_and_the_insurance_fund_are_funded_in_dollars() public {
        vm.expectEmit(address(engine));
        emit MarginEngine.FundsChanged(50_000_000_001e18, 0);
        engine.fundPool(1e6);
        vm.expectEmit(address(engine));
        emit MarginEngine.FundsChanged(50_000_000_001e18, 2e18);
        engine.fundInsurance(2e6);
    }

    function test_the_owner_takes_from_the_pool_what_it_has_and_no_more() public {
        uint256 before = usd.balanceOf(address(this));
        vm.expectRevert(MarginEngine.InsufficientBalance.selector);
        engine.withdrawPool(50_000_000_000e6 + 1);
        engine.withdrawPool(50_000_000_000e6);
        assertEq(engine.pool(), 0, "pool");
        assertEq(usd.balanceOf(address(this)) - before, 50_000_000_000e6, "tokens");
    }

    function refused(MarginEngine.MarketParams memory params, string memory what) private {
        expectBadParameter(what);
        engine.configureMarket(BTC, params, btcTiers());
    }

    function refused(MarginEngine.Bracket[] memory tiers, string memory what) private {
        MarginEngine.MarketParams memory params = btcParams();
        params.penalty = 0;
        expectBadParameter(what);
        engine.configureMarket(BTC, params, tiers);
    }
}
