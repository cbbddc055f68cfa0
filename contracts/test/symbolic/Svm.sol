// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// The cheat codes of halmos that these checks use.
interface Svm {
    function createAddress(string calldata name) external returns (address value);
    function createUint256(string calldata name) external returns (uint256 value);
    function createBytes(uint256 length, string calldata name) external returns (bytes memory value);
    function createCalldata(string calldata contractName) external returns (bytes memory data);
}

Svm constant svm = Svm(0xF3993A62377BCd56AE39D773740A5390411E8BC9);
