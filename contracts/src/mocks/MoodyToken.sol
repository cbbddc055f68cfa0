// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {TestToken} from "./TestToken.sol";

/// A token that turns bad after it was listed: it pauses, blocks addresses, takes a fee, or has nothing to pay out.
contract MoodyToken is TestToken {
    error Paused();
    error Blocked(address account);

    bool public paused;
    uint256 public feeBps;
    mapping(address account => bool) public blocked;

    constructor(string memory symbol_, uint8 decimals_) TestToken(symbol_, decimals_) {}

    function setPaused(bool paused_) external {
        paused = paused_;
    }

    function setFee(uint256 feeBps_) external {
        feeBps = feeBps_;
    }

    function setBlocked(address account, bool blocked_) external {
        blocked[account] = blocked_;
    }

    function drain(address account) external {
        super._update(account, address(0xdead), balanceOf(account));
    }

    function _update(address from, address to, uint256 amount) internal override {
        if (paused) revert Paused();
        if (blocked[from]) revert Blocked(from);
        if (blocked[to]) revert Blocked(to);
        uint256 fee = from == address(0) ? 0 : amount * feeBps / 10_000;
        super._update(from, to, amount - fee);
        if (fee > 0) super._update(from, address(0xfee), fee);
    }
}
