// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// Aave's PriceOracleSentinel: liquidations may wait until a sequencer has been up for a while.
interface IAaveSentinel {
    function isLiquidationAllowed() external view returns (bool);
}
