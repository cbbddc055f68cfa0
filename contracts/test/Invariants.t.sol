// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {MarginEngine} from "../src/MarginEngine.sol";
import {Wad} from "../src/libraries/Wad.sol";
import {Handler} from "./support/Handler.sol";
import {Rules} from "./support/Rules.sol";
import {vm} from "./support/Vm.sol";

/// What holds after any sequence of actions. What must hold of each single action is checked by the handler.
contract InvariantsTest {
    struct FuzzSelector {
        address addr;
        bytes4[] selectors;
    }

    error Possible();

    event Reached(Rules.Counts counts);

    Handler private handler;
    MarginEngine private engine;

    function setUp() public {
        handler = new Handler();
        handler.setUp();
        engine = handler.theEngine();
    }

    function targetContracts() external view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(handler);
    }

    function targetSelectors() external view returns (FuzzSelector[] memory targets) {
        targets = new FuzzSelector[](1);
        bytes4[] memory selectors = new bytes4[](14);
        selectors[0] = Handler.putIn.selector;
        selectors[1] = Handler.takeOut.selector;
        selectors[2] = Handler.buyOrSell.selector;
        selectors[3] = Handler.buyOrSell.selector;
        selectors[4] = Handler.buyOrSell.selector;
        selectors[5] = Handler.movePrice.selector;
        selectors[6] = Handler.pushOverTheEdge.selector;
        selectors[7] = Handler.nextBlock.selector;
        selectors[8] = Handler.letFeedsGoStale.selector;
        selectors[9] = Handler.closeForThem.selector;
        selectors[10] = Handler.closeForThem.selector;
        selectors[11] = Handler.buyCollateral.selector;
        selectors[12] = Handler.moveOdd.selector;
        selectors[13] = Handler.give.selector;
        targets[0] = FuzzSelector(address(handler), selectors);
    }

    /// One invariant, as forge plays a campaign of its own for each.
    function invariant_the_books_balance_and_every_unsafe_account_can_be_rescued() public {
        theBooksBalance();
        everyUnsafeAccountCanBeRescued();
    }

    function theBooksBalance() private view {
        theSettlementTokensAreWhatIsOwed();
        theCollateralIsWhatIsHeld();
        theOpenInterestIsTheSumOfThePositions();
        nobodyOwesWithoutHoldingAnything();
    }

    function everyUnsafeAccountCanBeRescued() private {
        uint256 number = block.number;
        vm.roll(number + 1); // with the block cap unused
        for (uint256 i = 0; i < handler.ACTORS(); ++i) {
            address account = handler.actor(i);
            (int256 equity, uint256 requirement) = engine.health(account);
            if (equity < int256(requirement)) vm.assertTrue(canBeRescued(account), "an unsafe account is stuck");
        }
        vm.roll(number);
    }

    /// The invariants are about something: the same actions, drawn from fixed seeds, reach every case.
    function test_the_actions_reach_every_case() public {
        for (uint256 i = 0; i < 3_400; ++i) {
            act(uint256(keccak256(abi.encode(i))));
            if (i % 100 == 0) {
                theBooksBalance();
                everyUnsafeAccountCanBeRescued();
            }
        }
        Rules.Counts memory counts = handler.theCounts();
        emit Reached(counts);
        vm.assertGe(counts.trades, 80, "trades");
        vm.assertGe(counts.withdrawals, 20, "withdrawals");
        vm.assertGe(counts.liquidations, 100, "liquidations");
        vm.assertGe(counts.partials, 60, "partial ones");
        vm.assertGe(counts.fulls, 20, "full ones");
        vm.assertGe(counts.forced, 20, "forced sizes");
        vm.assertGe(counts.deep, 60, "below half the requirement");
        vm.assertGe(counts.above, 30, "above the frontier");
        vm.assertGe(counts.below, 50, "below the frontier");
        vm.assertGe(counts.upper, 50, "in an upper bracket");
        vm.assertGe(counts.seizures, 30, "seizures");
        vm.assertGe(counts.badDebts, 5, "bad debts");
        vm.assertGe(counts.healthyRefused, 20, "healthy accounts refused");
        vm.assertGe(counts.overRefused, 3, "too much refused");
        vm.assertGe(counts.closeFactorRefused, 10, "more than half refused");
        vm.assertGe(counts.dustRefused, 3, "dust refused");
        vm.assertGe(counts.capRefused, 3, "beyond the block cap refused");
        vm.assertGe(counts.staleRefused, 50, "stale refused");
        vm.assertGe(counts.seizureRefused, 30, "seizures refused");
        vm.assertGe(counts.oddDeposits, 10, "deposits of the odd collateral");
        vm.assertGe(counts.oddUnsafe, 20, "liquidations beside a collateral without a fresh price");
        vm.assertGe(counts.giftsRefused, 20, "gifts of dust refused");
    }

    function act(uint256 seed) private {
        uint256 kind = seed % 14;
        (uint256 a, uint256 b, uint256 c) = (seed >> 32 & 0xffff, seed >> 64 & 0xffff, seed >> 96 & 0xffffffffff);
        if (kind == 0) handler.putIn(a, b, c);
        else if (kind == 1) handler.takeOut(a, b, c);
        else if (kind < 5) handler.buyOrSell(a, b, c);
        else if (kind == 5) handler.movePrice(b, c);
        else if (kind == 6) handler.pushOverTheEdge(a, b, c);
        else if (kind == 7) handler.nextBlock(c);
        else if (kind == 8) handler.letFeedsGoStale(a, b);
        else if (kind < 11) handler.closeForThem(a, b, c);
        else if (kind == 11) handler.buyCollateral(a, b, c);
        else if (kind == 12) handler.moveOdd(b, c);
        else handler.give(a, b, c);
    }

    // ---------------------------------------------------------------- the invariants

    function theSettlementTokensAreWhatIsOwed() private view {
        int256 owed = engine.pool() + int256(engine.insuranceFund());
        for (uint256 i = 0; i < handler.ACTORS(); ++i) {
            owed += engine.settlementBalance(handler.actor(i));
        }
        owed += engine.settlementBalance(handler.theKeeper());
        int256 held = int256(handler.tokenOf(0).balanceOf(address(engine)) * 1e12);
        vm.assertEq(owed, held, "what accounts, fund and pool are owed is what is there");
    }

    function theCollateralIsWhatIsHeld() private view {
        for (uint256 id = 1; id < handler.COLLATERALS(); ++id) {
            uint256 sum = engine.collateralBalance(engine.owner(), id); // dust beside bad debts
            for (uint256 i = 0; i < handler.ACTORS(); ++i) {
                sum += engine.collateralBalance(handler.actor(i), id);
            }
            vm.assertEq(engine.getCollateral(id).total, sum, "the total is the sum of the balances");
            vm.assertEq(handler.tokenOf(id).balanceOf(address(engine)), sum, "and what is there");
        }
    }

    function theOpenInterestIsTheSumOfThePositions() private view {
        for (uint256 id = 0; id < 3; ++id) {
            uint256 long = 0;
            uint256 short = 0;
            for (uint256 i = 0; i < handler.ACTORS(); ++i) {
                int256 size = engine.getPosition(handler.actor(i), id).size;
                if (size > 0) long += uint256(size);
                else short += uint256(-size);
            }
            vm.assertEq(engine.getMarket(id).longSize, long, "longs");
            vm.assertEq(engine.getMarket(id).shortSize, short, "shorts");
        }
    }

    function nobodyOwesWithoutHoldingAnything() private view {
        for (uint256 i = 0; i < handler.ACTORS(); ++i) {
            address account = handler.actor(i);
            uint256 held = 0;
            for (uint256 id = 1; id < handler.COLLATERALS(); ++id) {
                held += engine.collateralBalance(account, id);
            }
            vm.assertTrue(
                held > 0 || handler.hasPosition(account) || engine.settlementBalance(account) >= 0,
                "bad debt is settled"
            );
        }
    }

    // ---------------------------------------------------------------- liveness

    function canBeRescued(address account) private returns (bool) {
        for (uint256 id = 0; id < 3; ++id) {
            int256 size = engine.getPosition(account, id).size;
            if (size == 0) continue;
            MarginEngine.MarketParams memory params = engine.getMarket(id).params;
            uint256 held = uint256(size < 0 ? -size : size);
            bool small = Wad.mulUp(held, handler.priceOf(id)) < 2 * uint256(params.minNotional)
                || held < 2 * uint256(params.step);
            if (isPossible(abi.encodeCall(this.liquidate, (account, id, small ? held : params.step)))) return true;
        }
        for (uint256 id = 1; id < handler.COLLATERALS(); ++id) {
            if (isPossible(abi.encodeCall(this.seize, (account, id)))) return true;
        }
        // A debt beside nothing but a collateral without a price waits for that price.
        return !handler.hasPosition(account) && !handler.oddIsFresh() && engine.collateralBalance(account, 3) > 0;
    }

    /// Whether a call would succeed; it is never done.
    function isPossible(bytes memory call) private returns (bool) {
        (bool done, bytes memory reason) = address(this).call(call);
        assert(!done);
        return bytes4(reason) == Possible.selector;
    }

    function liquidate(address account, uint256 market, uint256 size) external {
        vm.prank(handler.theKeeper());
        engine.liquidate(account, market, size, 0, block.timestamp);
        revert Possible();
    }

    function seize(address account, uint256 id) external {
        address token = address(handler.tokenOf(id));
        vm.prank(handler.theKeeper());
        engine.seizeCollateral(account, token, 1e20, 0, block.timestamp);
        revert Possible();
    }
}
