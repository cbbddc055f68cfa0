// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// aTokens and debt tokens.
interface IAaveToken {
    function RESERVE_TREASURY_ADDRESS() external view returns (address);
    function scaledBalanceOf(address user) external view returns (uint256);
}
