// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IFeed} from "../interfaces/IFeed.sol";

/// A Chainlink-style feed whose answer anyone may set: for demos and tests only.
contract SettableFeed is IFeed {
    uint8 public immutable decimals;
    uint80 private round;
    int256 private answer;
    uint256 private updatedAt;

    event AnswerUpdated(int256 indexed current, uint256 indexed roundId, uint256 updatedAt);

    constructor(uint8 decimals_, int256 answer_) {
        decimals = decimals_;
        set(answer_);
    }

    function set(int256 answer_) public {
        setAt(answer_, block.timestamp);
    }

    function setAt(int256 answer_, uint256 updatedAt_) public {
        answer = answer_;
        updatedAt = updatedAt_;
        emit AnswerUpdated(answer_, ++round, updatedAt_);
    }

    /// As the feeds that Aave reads.
    function latestAnswer() external view returns (int256) {
        return answer;
    }

    function latestRoundData() external view returns (uint80, int256, uint256, uint256, uint80) {
        return (round, answer, updatedAt, updatedAt, round);
    }
}
