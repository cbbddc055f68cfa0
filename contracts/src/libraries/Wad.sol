// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// Fixed-point arithmetic in 1e18 with the rounding direction in the name.
library Wad {
    uint256 internal constant ONE = 1e18;
    int256 internal constant SIGNED_ONE = 1e18;

    /// a * b / 1e18, towards zero.
    function mulDown(uint256 a, uint256 b) internal pure returns (uint256) {
        return a * b / ONE;
    }

    /// a * b / 1e18, away from zero.
    function mulUp(uint256 a, uint256 b) internal pure returns (uint256) {
        return divUp(a * b, ONE);
    }

    function divUp(uint256 a, uint256 b) internal pure returns (uint256) {
        return a == 0 ? 0 : (a - 1) / b + 1;
    }

    /// a * b / 1e18, towards minus infinity.
    function mulFloor(int256 a, int256 b) internal pure returns (int256) {
        int256 product = a * b;
        int256 quotient = product / SIGNED_ONE;
        return product < 0 && quotient * SIGNED_ONE != product ? quotient - 1 : quotient;
    }

    /// a * b / 1e18, towards plus infinity.
    function mulCeil(int256 a, int256 b) internal pure returns (int256) {
        return -mulFloor(-a, b);
    }
}
