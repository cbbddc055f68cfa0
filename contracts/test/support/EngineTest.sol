// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {MarginEngine} from "../../src/MarginEngine.sol";
import {IFeed} from "../../src/interfaces/IFeed.sol";
import {SettableFeed} from "../../src/mocks/SettableFeed.sol";
import {TestToken} from "../../src/mocks/TestToken.sol";
import {vm} from "./Vm.sol";

/// An engine with three collaterals (6, 8 and 18 decimals) and three markets, and the words that the tests use.
abstract contract EngineTest {
    uint256 internal constant BTC = 0; // markets
    uint256 internal constant ETH = 1;
    uint256 internal constant SOL = 2; // one step is worth more than the least notional
    uint256 internal constant ANY_PRICE = type(uint256).max;
    uint32 internal constant HEARTBEAT = 1 hours;
    uint128 internal constant LEAST_GIFT = 1_000; // token units

    address internal alice = address(0xA11CE);
    address internal bob = address(0xB0B);
    address internal keeper = address(0x6EE9E2);

    TestToken internal usd = new TestToken("USD", 6);
    TestToken internal wbtc = new TestToken("WBTC", 8);
    TestToken internal weth = new TestToken("WETH", 18);
    SettableFeed internal btcFeed;
    SettableFeed internal ethFeed;
    SettableFeed internal solFeed;
    MarginEngine internal engine;

    function setUp() public virtual {
        vm.warp(1_700_000_000);
        btcFeed = new SettableFeed(8, 60_000e8);
        ethFeed = new SettableFeed(18, 3_000e18);
        solFeed = new SettableFeed(6, 150e6);
        engine = new MarginEngine(usd, address(this));
        engine.listCollateral(wbtc, collateralParams(btcFeed, 0.9e18, 0.05e18, 1_000e8));
        engine.listCollateral(weth, collateralParams(ethFeed, 0.8e18, 0.1e18, 50_000e18));
        engine.listMarket("BTC", btcParams(), btcTiers());
        engine.listMarket("ETH", ethParams(), ethTiers());
        engine.listMarket("SOL", solParams(), solTiers());
        give(address(this), usd, 100_000_000_000e6);
        engine.fundPool(50_000_000_000e6);
        give(keeper, usd, 1_000_000_000e6);
    }

    // ---------------------------------------------------------------- configuration

    function collateralParams(IFeed feed, uint64 weight, uint64 discount, uint128 cap)
        internal
        pure
        returns (MarginEngine.CollateralParams memory)
    {
        return MarginEngine.CollateralParams(feed, HEARTBEAT, weight, discount, cap, LEAST_GIFT);
    }

    function marketParams(IFeed feed, uint64 penalty, uint128 step)
        internal
        pure
        returns (MarginEngine.MarketParams memory params)
    {
        params.feed = feed;
        params.heartbeat = HEARTBEAT;
        params.initialFactor = 2e18;
        params.tradingFee = 0.0005e18;
        params.penalty = penalty;
        params.keeperShare = 0.5e18;
        params.maxFundingRate = 0.03e18;
        params.skewScale = 1_000e18;
        params.maxOpenInterest = 1_000_000e18;
        params.blockCap = 5_000_000e18;
        params.minNotional = 100e18;
        params.step = step;
    }

    function btcParams() internal view returns (MarginEngine.MarketParams memory) {
        return marketParams(btcFeed, 0.0025e18, 0.001e18);
    }

    function ethParams() internal view returns (MarginEngine.MarketParams memory) {
        return marketParams(ethFeed, 0.005e18, 0.01e18);
    }

    function solParams() internal view returns (MarginEngine.MarketParams memory) {
        return marketParams(solFeed, 0.0125e18, 10e18);
    }

    function btcTiers() internal pure returns (MarginEngine.Bracket[] memory) {
        return tiers3(0.005e18, 600_000e18, 0.01e18, 3_000_000e18, 0.02e18);
    }

    function ethTiers() internal pure returns (MarginEngine.Bracket[] memory) {
        return tiers3(0.01e18, 500_000e18, 0.02e18, 2_000_000e18, 0.05e18);
    }

    function solTiers() internal pure returns (MarginEngine.Bracket[] memory) {
        return tiers3(0.025e18, 50_000e18, 0.05e18, 500_000e18, 0.1e18);
    }

    function flatTier(uint64 rate) internal pure returns (MarginEngine.Bracket[] memory tiers) {
        tiers = new MarginEngine.Bracket[](1);
        tiers[0].rate = rate;
    }

    function tiers3(uint64 rate0, uint128 floor1, uint64 rate1, uint128 floor2, uint64 rate2)
        internal
        pure
        returns (MarginEngine.Bracket[] memory tiers)
    {
        tiers = new MarginEngine.Bracket[](3);
        (tiers[0].rate, tiers[1].rate, tiers[2].rate) = (rate0, rate1, rate2);
        (tiers[1].floor, tiers[2].floor) = (floor1, floor2);
        setOffsets(tiers);
    }

    /// c_{k+1} = c_k + B_{k+1} (r_{k+1} - r_k)
    function setOffsets(MarginEngine.Bracket[] memory tiers) internal pure {
        for (uint256 k = 1; k < tiers.length; ++k) {
            uint256 added = uint256(tiers[k].floor) * (tiers[k].rate - tiers[k - 1].rate) / 1e18;
            tiers[k].offset = tiers[k - 1].offset + uint128(added);
        }
    }

    // ---------------------------------------------------------------- actions

    function give(address account, TestToken token, uint256 amount) internal {
        token.mint(account, amount);
        vm.prank(account);
        token.approve(address(engine), type(uint256).max);
    }

    function deposit(address account, TestToken token, uint256 amount) internal {
        give(account, token, amount);
        vm.prank(account);
        engine.deposit(address(token), amount);
    }

    function trade(address account, uint256 market, int256 delta) internal {
        vm.prank(account);
        engine.trade(market, delta, delta > 0 ? ANY_PRICE : 0);
    }

    function liquidate(address account, uint256 market, uint256 size) internal returns (uint256 reward) {
        vm.prank(keeper);
        return engine.liquidate(account, market, size, 0, block.timestamp);
    }

    function seize(address account, TestToken token, uint256 repay) internal returns (uint256 amount, uint256 repaid) {
        vm.prank(keeper);
        return engine.seizeCollateral(account, address(token), repay, 0, block.timestamp);
    }

    /// Time passes, and every feed says the same again.
    function pass(uint256 seconds_) internal {
        vm.warp(block.timestamp + seconds_);
        refresh(btcFeed);
        refresh(ethFeed);
        refresh(solFeed);
    }

    function refresh(SettableFeed feed) internal {
        (, int256 answer,,,) = feed.latestRoundData();
        feed.set(answer);
    }

    // ---------------------------------------------------------------- questions

    function equityOf(address account) internal view returns (int256 equity) {
        (equity,) = engine.health(account);
    }

    function requirementOf(address account) internal view returns (uint256 requirement) {
        (, requirement) = engine.health(account);
    }

    function sizeOf(address account, uint256 market) internal view returns (int256) {
        return engine.getPosition(account, market).size;
    }

    // ---------------------------------------------------------------- expectations

    function expectNotLiquidatable(address account) internal {
        (int256 equity, uint256 requirement) = engine.health(account);
        vm.expectRevert(abi.encodeWithSelector(MarginEngine.NotLiquidatable.selector, equity, requirement));
    }

    function expectBadParameter(string memory what) internal {
        vm.expectRevert(abi.encodeWithSelector(MarginEngine.BadParameter.selector, what));
    }

    function assertTrue(bool condition, string memory message) internal pure {
        vm.assertTrue(condition, message);
    }

    function assertEq(uint256 a, uint256 b, string memory message) internal pure {
        vm.assertEq(a, b, message);
    }

    function assertEq(int256 a, int256 b, string memory message) internal pure {
        vm.assertEq(a, b, message);
    }

    function assertEq(address a, address b, string memory message) internal pure {
        vm.assertEq(a, b, message);
    }
}
