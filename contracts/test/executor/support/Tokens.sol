// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {TestToken} from "../../../src/mocks/TestToken.sol";

/// Calls someone on each transfer, as ERC-777 and worse tokens do. What that reverts with is kept, not passed on.
contract HookToken is TestToken {
    address public target;
    bytes public call;
    bytes public answer;
    bool public succeeded;
    uint256 public calls;

    constructor() TestToken("HOOK", 18) {}

    function hook(address target_, bytes calldata call_) external {
        (target, call) = (target_, call_);
    }

    function _update(address from, address to, uint256 amount) internal override {
        super._update(from, to, amount);
        if (target == address(0)) return;
        calls++;
        (succeeded, answer) = target.call(call);
    }
}

/// Says false instead of reverting, while it is told to.
contract FalseToken is TestToken {
    bool public refuses;

    constructor() TestToken("FALSE", 18) {}

    function refuse(bool refuses_) external {
        refuses = refuses_;
    }

    function transfer(address to, uint256 amount) public override returns (bool) {
        return !refuses && super.transfer(to, amount);
    }

    function approve(address spender, uint256 amount) public override returns (bool) {
        return !refuses && super.approve(spender, amount);
    }
}

/// Returns nothing at all, and takes a new allowance only after the old one was used or set to zero: as USDT does.
contract MuteToken {
    uint8 public constant decimals = 6;
    mapping(address account => uint256) public balanceOf;
    mapping(address account => mapping(address spender => uint256)) public allowance;

    function mint(address to, uint256 amount) external {
        balanceOf[to] += amount;
    }

    function approve(address spender, uint256 amount) external {
        require(amount == 0 || allowance[msg.sender][spender] == 0, "MUTE_ALLOWANCE");
        allowance[msg.sender][spender] = amount;
    }

    function transfer(address to, uint256 amount) external {
        move(msg.sender, to, amount);
    }

    function transferFrom(address from, address to, uint256 amount) external {
        allowance[from][msg.sender] -= amount;
        move(from, to, amount);
    }

    function move(address from, address to, uint256 amount) private {
        balanceOf[from] -= amount;
        balanceOf[to] += amount;
    }
}

/// The wrapped coin, as WETH9; what is minted without coins is the test's to cover.
contract WrappedCoin is TestToken {
    constructor() TestToken("WETH", 18) {}

    function withdraw(uint256 amount) external {
        _burn(msg.sender, amount);
        payable(msg.sender).transfer(amount);
    }
}
