// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// Arbitrum's precompile 0x000000000000000000000000000000000000006C, as far as it is asked.
interface IArbGasInfo {
    /// Wei of a simple transaction, of a byte of calldata on L1, of a storage slot, and of a unit of gas: the minimum,
    /// what congestion adds, and both together.
    function getPricesInWei()
        external
        view
        returns (
            uint256 perL2Tx,
            uint256 perL1CalldataByte,
            uint256 perStorage,
            uint256 perGasBase,
            uint256 perGasCongestion,
            uint256 perGasTotal
        );
}
