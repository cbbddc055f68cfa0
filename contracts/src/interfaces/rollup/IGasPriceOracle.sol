// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// The OP stack's predeploy 0x420000000000000000000000000000000000000F, as far as it is asked. Fees are in wei.
interface IGasPriceOracle {
    /// Since Fjord. Of an unsigned transaction of so many bytes.
    function getL1FeeUpperBound(uint256 unsignedTxSize) external view returns (uint256);

    /// Of an unsigned transaction.
    function getL1Fee(bytes memory unsignedTx) external view returns (uint256);

    /// Since Isthmus. Of a transaction that uses so much gas.
    function getOperatorFee(uint256 gasUsed) external view returns (uint256);
}
