// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// What a trader needs of a Uniswap v3 pool.
interface IUniswapV3PoolActions {
    function token0() external view returns (address);
    function token1() external view returns (address);
    function fee() external view returns (uint24);

    /// Trades until the amount is used up or the price limit reached. Calls back for what is owed (positive).
    function swap(
        address recipient,
        bool zeroForOne,
        int256 amountSpecified,
        uint160 sqrtPriceLimitX96,
        bytes calldata data
    ) external returns (int256 amount0, int256 amount1);
}

interface IUniswapV3FactoryViews {
    function getPool(address tokenA, address tokenB, uint24 fee) external view returns (address);
}

/// What a Uniswap v3 pool calls during a swap.
interface IUniswapV3Trader {
    function uniswapV3SwapCallback(int256 amount0Delta, int256 amount1Delta, bytes calldata data) external;
}
