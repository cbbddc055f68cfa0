// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {ICurieClearingHouseActions} from "../../../src/interfaces/curie/ICurieActions.sol";
import {TestToken} from "../../../src/mocks/TestToken.sol";

/// ClearingHouse, Vault, AccountBalance and OrderBook in one, with results as they are told: what the executor asks of
/// Perpetual Protocol v2, and in which order.
contract StubPerpetual {
    TestToken public immutable getSettlementToken;
    int256 public result; // what liquidating and closing comes to, units of the settlement token
    int256 public positionLeft;
    int256 public marginLeft;
    uint256 public margin;
    string public steps;
    address[] private markets;
    mapping(address market => uint256) public orders;
    mapping(address trader => mapping(address market => int256)) public getTakerPositionSize;

    constructor(TestToken token) {
        getSettlementToken = token;
    }

    function set(int256 result_, int256 positionLeft_, int256 marginLeft_) external {
        (result, positionLeft, marginLeft) = (result_, positionLeft_, marginLeft_);
    }

    function setOrders(address market, uint256 count) external {
        markets.push(market);
        orders[market] = count;
    }

    function getVault() external view returns (address) {
        return address(this);
    }

    function getAccountBalance() external view returns (address) {
        return address(this);
    }

    function getOrderBook() external view returns (address) {
        return address(this);
    }

    function getBaseTokens(address) external view returns (address[] memory) {
        return markets;
    }

    function getOpenOrderIds(address, address market) external view returns (bytes32[] memory) {
        return new bytes32[](orders[market]);
    }

    function getSettlementTokenValue(address) external view returns (int256) {
        return marginLeft;
    }

    function cancelAllExcessOrders(address, address market) external {
        require(orders[market] != 0, "nothing to cancel");
        orders[market] = 0;
        did("cancel ");
    }

    function deposit(address token, uint256 amount) external {
        require(amount > 0, "V_ZA");
        IERC20(token).transferFrom(msg.sender, address(this), amount);
        margin += amount;
        did("deposit ");
    }

    function liquidate(address, address market, int256 size) external {
        getTakerPositionSize[msg.sender][market] += size;
        did("liquidate ");
    }

    function closePosition(ICurieClearingHouseActions.ClosePositionParams calldata params)
        external
        returns (uint256, uint256)
    {
        require(params.deadline >= block.timestamp, "too late");
        getTakerPositionSize[msg.sender][params.baseToken] = positionLeft;
        did("close ");
        return (0, 0);
    }

    function withdrawAll(address token) external returns (uint256 amount) {
        amount = uint256(int256(margin) + result);
        margin = 0;
        IERC20(token).transfer(msg.sender, amount);
        did("withdraw");
    }

    /// One unit of the settlement token buys one of the collateral, as it is told to.
    function liquidateCollateral(address, address token, uint256 amount, bool inSettlement) external returns (uint256) {
        require(inSettlement, "not in settlement tokens");
        getSettlementToken.transferFrom(msg.sender, address(this), amount);
        IERC20(token).transfer(msg.sender, uint256(int256(amount) + result));
        return uint256(int256(amount) + result);
    }

    function did(string memory step) private {
        steps = string.concat(steps, step);
    }
}
