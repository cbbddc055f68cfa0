// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IFeed} from "../interfaces/IFeed.sol";

/// A sequencer's uptime feed as Chainlink's: 0 while it is up, 1 while it is down, and since when.
contract UptimeFeed is IFeed {
    uint8 public constant decimals = 0;
    int256 private status;
    uint256 private since;
    uint80 private round;

    constructor(uint256 since_) {
        set(0, since_);
    }

    function set(int256 status_, uint256 since_) public {
        status = status_;
        since = since_;
        round++;
    }

    function latestRoundData() external view returns (uint80, int256, uint256, uint256, uint80) {
        return (round, status, since, since, round);
    }
}
