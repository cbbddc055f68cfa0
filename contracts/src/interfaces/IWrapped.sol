// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// What is asked of a wrapped coin, such as WETH9.
interface IWrapped {
    function withdraw(uint256 amount) external;
}
