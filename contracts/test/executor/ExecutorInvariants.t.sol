// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {ExecutorHandler} from "./support/ExecutorHandler.sol";
import {vm} from "../support/Vm.sol";

/// What holds whatever a stolen operator key, hostile protocols, tokens with hooks and fees, and strangers do.
contract ExecutorInvariantsTest {
    struct FuzzSelector {
        address addr;
        bytes4[] selectors;
    }

    event Reached(ExecutorHandler.Counts counts);

    ExecutorHandler private handler;

    function setUp() public {
        handler = new ExecutorHandler();
        handler.setUp();
    }

    function targetContracts() external view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(handler);
    }

    function targetSelectors() external view returns (FuzzSelector[] memory targets) {
        targets = new FuzzSelector[](1);
        bytes4[] memory selectors = new bytes4[](12);
        selectors[0] = handler.liquidate.selector;
        selectors[1] = handler.liquidate.selector;
        selectors[2] = handler.liquidate.selector;
        selectors[3] = handler.batch.selector;
        selectors[4] = handler.sell.selector;
        selectors[5] = handler.sweep.selector;
        selectors[6] = handler.refuel.selector;
        selectors[7] = handler.usurp.selector;
        selectors[8] = handler.disturb.selector;
        selectors[9] = handler.govern.selector;
        selectors[10] = handler.pay.selector;
        selectors[11] = handler.nextDay.selector;
        targets[0] = FuzzSelector(address(handler), selectors);
    }

    function invariant_the_capital_goes_nowhere_but_to_the_treasury() public {
        check();
    }

    /// The invariants are about something: the same actions, drawn from fixed seeds, reach every case.
    function test_the_actions_reach_every_case() public {
        for (uint256 i = 0; i < 1_500; ++i) {
            act(uint256(keccak256(abi.encode(i))));
            if (i % 20 == 0) check();
        }
        ExecutorHandler.Counts memory counts = handler.theCounts();
        emit Reached(counts);
        vm.assertGe(counts.liquidations, 60, "liquidations");
        vm.assertGe(counts.batches, 20, "batches");
        vm.assertGe(counts.sales, 5, "sales");
        vm.assertGe(counts.sweeps, 30, "payments to the treasury");
        vm.assertGe(counts.refuels, 10, "coins for gas");
        vm.assertGe(counts.refused, 100, "refusals");
        vm.assertGe(counts.strangers, 50, "strangers");
        vm.assertGe(counts.tries, 500, "calls from inside");
    }

    function act(uint256 seed) private {
        uint256 kind = seed % 12;
        (uint256 a, uint256 b, uint256 c) = (seed >> 32 & 0xffff, seed >> 64 & 0xffff, seed >> 96);
        if (kind < 3) handler.liquidate(a, c);
        else if (kind == 3) handler.batch(a, b, c);
        else if (kind == 4) handler.sell(a, b, a / 7, c);
        else if (kind == 5) handler.sweep(a, c);
        else if (kind == 6) handler.refuel(c);
        else if (kind == 7) handler.usurp(a, c);
        else if (kind == 8) handler.disturb(a, b, c);
        else if (kind == 9) handler.govern(a, b, c);
        else if (kind == 10) handler.pay(a, c);
        else handler.nextDay(c);
    }

    function check() private {
        vm.assertTrue(handler.rulesStand(), "a rule was changed by somebody else than the treasury");
        vm.assertGe(handler.owned(0), handler.capital(0), "capital of the list is gone");
        vm.assertGe(handler.coinsOwned(), handler.coins(), "coins are gone");
        vm.assertTrue(handler.nothingIsApproved(), "an approval is left");
        vm.assertTrue(handler.isFree(), "it is stuck");
    }
}
