// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IUniswapV3Pool} from "../interfaces/uniswap/IUniswapV3Pool.sol";
import {IUniswapV3PoolActions} from "../interfaces/uniswap/IUniswapV3Actions.sol";

/// Asks a real Uniswap v3 pool without liquidity at which tick prices are, by moving it there: for tests only.
contract TickProbe {
    /// `sqrtPrices`: ascending, all above the pool's own.
    function ticks(address pool, uint160[] calldata sqrtPrices) external returns (int24[] memory found) {
        found = new int24[](sqrtPrices.length);
        for (uint256 i = 0; i < sqrtPrices.length; ++i) {
            IUniswapV3PoolActions(pool).swap(address(this), false, 1, sqrtPrices[i], "");
            (, found[i],,,,,) = IUniswapV3Pool(pool).slot0();
        }
    }

    function uniswapV3SwapCallback(int256, int256, bytes calldata) external pure {}
}
