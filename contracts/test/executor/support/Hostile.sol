// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IAaveFlashBorrower} from "../../../src/interfaces/aave_v3/IAavePoolActions.sol";
import {ICurieClearingHouseActions} from "../../../src/interfaces/curie/ICurieActions.sol";
import {TestToken} from "../../../src/mocks/TestToken.sol";

/// Passes a call on to the executor as the operator, as a delegated account of his could be made to.
interface IOperator {
    function poke(bytes calldata call) external returns (bool done);
}

/// Lender, clearing house, vault and accounts in one, of somebody who wants what the executor holds: he takes more than
/// he may, gives less than he should, answers differently each time, and calls back into every entry.
contract Hostile {
    address private immutable executor;
    IOperator private immutable operator;
    address private token; // what it says that it settles in
    address private other;
    uint256 private seed;
    bytes private call; // tried whenever it is called, by itself and through the operator
    bool private busy;
    uint256 public tries;
    uint256 public entered; // of them that came through

    constructor(address executor_, IOperator operator_) {
        (executor, operator) = (executor_, operator_);
    }

    function arm(address token_, address other_, uint256 seed_, bytes calldata call_) external {
        (token, other, seed, call) = (token_, other_, seed_, call_);
        busy = false;
    }

    function attack() public {
        if (busy || call.length == 0) return;
        busy = true;
        tries += 2;
        (bool done,) = executor.call(call);
        if (done) ++entered;
        if (operator.poke(call)) ++entered;
        busy = false;
    }

    function grab(address from, uint256 amount) private {
        (bool done,) = from.call(abi.encodeCall(IERC20.transferFrom, (executor, address(this), amount)));
        done;
    }

    function give(address what, uint256 amount) private {
        uint256 held = TestToken(what).balanceOf(address(this));
        (bool done,) = what.call(abi.encodeCall(IERC20.transfer, (executor, amount < held ? amount : held)));
        done;
    }

    // ---------------------------------------------------------------- as a lender

    function liquidationCall(address collateral, address debt, address, uint256 offered, bool) external {
        attack();
        grab(debt, seed % 3 == 0 ? offered + 1 : offered * (seed % 101) / 100);
        grab(collateral, 1e18); // which it was never allowed
        give(collateral, offered * (seed / 7 % 300) / 100);
        attack();
    }

    function flashLoanSimple(address receiver, address asset, uint256 amount, bytes calldata params, uint16) external {
        attack();
        give(asset, seed % 11 == 0 ? amount / 2 : amount);
        if (seed % 13 == 0) return;
        uint256 premium = amount * (seed / 11 % 100) / 10_000;
        IAaveFlashBorrower(receiver).executeOperation(asset, amount, premium, receiver, params);
        if (seed % 17 == 0) IAaveFlashBorrower(receiver).executeOperation(asset, amount, premium, receiver, params);
        grab(asset, amount + premium);
        attack();
    }

    // ---------------------------------------------------------------- as a clearing house, its vault and its books

    function getVault() external view returns (address) {
        return address(this);
    }

    function getAccountBalance() external view returns (address) {
        return address(this);
    }

    function getOrderBook() external view returns (address) {
        return address(this);
    }

    function getSettlementToken() external view returns (address) {
        return token;
    }

    function getBaseTokens(address) external view returns (address[] memory all) {
        all = new address[](1);
        all[0] = other;
    }

    function getOpenOrderIds(address, address) external pure returns (bytes32[] memory) {
        return new bytes32[](1);
    }

    function getTakerPositionSize(address, address) external view returns (int256) {
        return seed % 19 == 0 ? int256(1) : int256(0);
    }

    function getSettlementTokenValue(address) external view returns (int256) {
        return seed % 23 == 0 ? int256(-1) : int256(0);
    }

    function cancelAllExcessOrders(address, address) external {
        attack();
    }

    function deposit(address what, uint256 amount) external {
        grab(what, seed % 3 == 0 ? amount + 1 : amount);
        grab(other, 1e18);
        attack();
    }

    function liquidate(address, address, int256) external {
        attack();
    }

    function closePosition(ICurieClearingHouseActions.ClosePositionParams calldata)
        external
        returns (uint256, uint256)
    {
        attack();
        return (type(uint256).max, type(uint256).max);
    }

    function withdrawAll(address what) external returns (uint256) {
        give(what, seed % 200 * 1e18);
        attack();
        return type(uint256).max;
    }

    function liquidateCollateral(address, address collateral, uint256 amount, bool) external returns (uint256) {
        grab(token, seed % 5 == 0 ? amount + 1 : amount);
        give(collateral, amount * (seed / 7 % 300) / 100);
        attack();
        return type(uint256).max;
    }
}
