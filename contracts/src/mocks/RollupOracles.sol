// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IArbGasInfo} from "../interfaces/rollup/IArbGasInfo.sol";
import {IGasPriceOracle} from "../interfaces/rollup/IGasPriceOracle.sol";

/// The OP stack's fees since Fjord (specs/protocol/fjord/exec-engine.md) with the operator fee of Isthmus.
contract FjordOracle is IGasPriceOracle {
    uint256 private scaled; // 16 * base fee scalar * L1 base fee + blob scalar * blob base fee
    uint256 private operatorScalar;
    uint256 private operatorConstant;

    function set(uint256 scaled_, uint256 operatorScalar_, uint256 operatorConstant_) external {
        scaled = scaled_;
        operatorScalar = operatorScalar_;
        operatorConstant = operatorConstant_;
    }

    function getL1FeeUpperBound(uint256 unsignedTxSize) external view returns (uint256) {
        uint256 size = unsignedTxSize + 68;
        return _fee(size + size / 255 + 16);
    }

    function getL1Fee(bytes memory unsignedTx) external view returns (uint256) {
        return _fee(unsignedTx.length + 68);
    }

    function getOperatorFee(uint256 gasUsed) external view returns (uint256) {
        return gasUsed * operatorScalar / 1e6 + operatorConstant;
    }

    function _fee(uint256 compressed) private view returns (uint256) {
        int256 size = -42_585_600 + 836_500 * int256(compressed);
        return uint256(size < 100_000_000 ? int256(100_000_000) : size) * scaled / 1e12;
    }
}

/// The OP stack's fees before Fjord, without an operator fee: by the calldata gas of the transaction (Ecotone).
contract EcotoneOracle {
    uint256 private scaled;

    function set(uint256 scaled_) external {
        scaled = scaled_;
    }

    function getL1Fee(bytes memory unsignedTx) external view returns (uint256) {
        uint256 gas = 68 * 16;
        for (uint256 i = 0; i < unsignedTx.length; ++i) {
            gas += unsignedTx[i] == 0 ? 4 : 16;
        }
        return gas * scaled / 16e6;
    }
}

/// Arbitrum's prices.
contract ArbitrumPrices is IArbGasInfo {
    uint256 private perByte;
    uint256 private perGas;

    function set(uint256 perByte_, uint256 perGas_) external {
        perByte = perByte_;
        perGas = perGas_;
    }

    function getPricesInWei() external view returns (uint256, uint256, uint256, uint256, uint256, uint256) {
        return (140 * perByte, perByte, 20_000 * perGas, perGas, 0, perGas);
    }
}
