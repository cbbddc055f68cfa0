// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";

interface IUniswapV3PoolActions {
    function token0() external view returns (address);
    function token1() external view returns (address);
    function slot0() external view returns (uint160 sqrtPriceX96, int24, uint16, uint16, uint16, uint8, bool);
    function mint(address recipient, int24 tickLower, int24 tickUpper, uint128 amount, bytes calldata data)
        external
        returns (uint256 amount0, uint256 amount1);
    function burn(int24 tickLower, int24 tickUpper, uint128 amount) external returns (uint256 amount0, uint256 amount1);
    function swap(
        address recipient,
        bool zeroForOne,
        int256 amountSpecified,
        uint160 sqrtPriceLimitX96,
        bytes calldata data
    ) external returns (int256 amount0, int256 amount1);
}

/// Makes markets and moves prices in Uniswap v3 pools, out of its own tokens, for anyone: for demos and tests only.
contract PoolTrader {
    function mint(IUniswapV3PoolActions pool, int24 tickLower, int24 tickUpper, uint128 liquidity) external {
        pool.mint(address(this), tickLower, tickUpper, liquidity, "");
    }

    function burn(IUniswapV3PoolActions pool, int24 tickLower, int24 tickUpper, uint128 liquidity) external {
        pool.burn(tickLower, tickUpper, liquidity);
    }

    /// `amount` as in the pool's `swap`: exact input when positive. Stops at the price limit.
    function swap(IUniswapV3PoolActions pool, bool zeroForOne, int256 amount, uint160 sqrtPriceLimitX96) external {
        pool.swap(address(this), zeroForOne, amount, sqrtPriceLimitX96, "");
    }

    /// Trades until the pool's price is this one.
    function moveTo(IUniswapV3PoolActions pool, uint160 sqrtPriceX96) external {
        (uint160 current,,,,,,) = pool.slot0();
        if (current == sqrtPriceX96) return;
        pool.swap(address(this), sqrtPriceX96 < current, type(int256).max, sqrtPriceX96, "");
    }

    function uniswapV3MintCallback(uint256 owed0, uint256 owed1, bytes calldata) external {
        pay(IUniswapV3PoolActions(msg.sender), int256(owed0), int256(owed1));
    }

    function uniswapV3SwapCallback(int256 owed0, int256 owed1, bytes calldata) external {
        pay(IUniswapV3PoolActions(msg.sender), owed0, owed1);
    }

    function pay(IUniswapV3PoolActions pool, int256 owed0, int256 owed1) private {
        if (owed0 > 0) IERC20(pool.token0()).transfer(msg.sender, uint256(owed0));
        if (owed1 > 0) IERC20(pool.token1()).transfer(msg.sender, uint256(owed1));
    }
}
