// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {ICurieClearingHouseActions} from "../../../src/interfaces/curie/ICurieActions.sol";
import {TestToken} from "../../../src/mocks/TestToken.sol";

/// Clearing house, vault and accounts of somebody who wants what the executor holds.
contract FakeMarket {
    TestToken public immutable getSettlementToken;
    uint256 private back;
    bytes private call;

    constructor(TestToken token) {
        getSettlementToken = token;
    }

    function set(uint256 back_, bytes calldata call_) external {
        (back, call) = (back_, call_);
    }

    function getVault() external view returns (address) {
        return address(this);
    }

    function getAccountBalance() external view returns (address) {
        return address(this);
    }

    function getTakerPositionSize(address, address) external pure returns (int256) {
        return 0;
    }

    function getSettlementTokenValue(address) external pure returns (int256) {
        return 0;
    }

    function deposit(address token, uint256 amount) external {
        TestToken(token).transferFrom(msg.sender, address(this), amount);
        if (call.length != 0) {
            (bool done,) = msg.sender.call(call);
            require(!done, "it came through");
        }
    }

    function liquidate(address, address, int256) external {}

    function closePosition(ICurieClearingHouseActions.ClosePositionParams calldata)
        external
        pure
        returns (uint256, uint256)
    {}

    function withdrawAll(address token) external returns (uint256) {
        TestToken(token).transfer(msg.sender, back);
        return back;
    }

    function liquidateCollateral(address, address, uint256 amount, bool) external returns (uint256) {
        getSettlementToken.transferFrom(msg.sender, address(this), amount);
        return amount;
    }
}
