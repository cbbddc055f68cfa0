// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {SettableFeed} from "./SettableFeed.sol";

/// A settable feed with a least and a greatest answer, and its own aggregator, as Chainlink's older feeds are.
contract BoundedFeed is SettableFeed {
    int192 public immutable minAnswer;
    int192 public immutable maxAnswer;

    constructor(uint8 decimals_, int256 answer_, int192 min_, int192 max_) SettableFeed(decimals_, answer_) {
        minAnswer = min_;
        maxAnswer = max_;
    }

    function aggregator() external view returns (address) {
        return address(this);
    }
}
