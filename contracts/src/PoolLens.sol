// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IUniswapV3Pool} from "./interfaces/uniswap/IUniswapV3Pool.sol";

/// A Uniswap v3 pool around its price in one `eth_call`. Never deployed: a state override puts its runtime code at an
/// unused address, since ticks can only be asked for once the pool's bitmap has told which there are.
contract PoolLens {
    struct View {
        uint160 sqrtPriceX96;
        int24 tick;
        uint128 liquidity;
        int24 lowest;
        int24 highest;
        int256[] ticks; // the initialised ones in between, ascending: tick * 2^128 + liquidityNet
    }

    int24 private constant MAX_TICK = 887272;

    /// `reach`: how many ticks on either side of the current one.
    function read(IUniswapV3Pool pool, int24 reach) external view returns (View memory found) {
        (found.sqrtPriceX96, found.tick) = _price(pool);
        found.liquidity = pool.liquidity();
        found.lowest = found.tick - reach < -MAX_TICK ? -MAX_TICK : found.tick - reach;
        found.highest = found.tick + reach > MAX_TICK ? MAX_TICK : found.tick + reach;
        found.ticks = _ticks(pool, found.lowest, found.highest);
    }

    /// Only the first two words, which pools of all descendants have in common.
    function _price(IUniswapV3Pool pool) private view returns (uint160 sqrtPriceX96, int24 tick) {
        (bool success, bytes memory answer) = address(pool).staticcall(abi.encodeCall(IUniswapV3Pool.slot0, ()));
        require(success && answer.length >= 64);
        (sqrtPriceX96, tick) = abi.decode(answer, (uint160, int24));
    }

    function _ticks(IUniswapV3Pool pool, int24 lowest, int24 highest) private view returns (int256[] memory ticks) {
        int24 spacing = pool.tickSpacing();
        (int24 first, int24 last) = (_floor(lowest, spacing) >> 8, _floor(highest, spacing) >> 8);
        uint256[] memory words = new uint256[](uint24(last - first + 1));
        uint256 count;
        for (uint256 i = 0; i < words.length; ++i) {
            words[i] = pool.tickBitmap(int16(first + int24(uint24(i))));
            for (uint256 rest = words[i]; rest != 0; rest &= rest - 1) {
                ++count;
            }
        }
        ticks = new int256[](count);
        count = 0;
        for (uint256 i = 0; i < words.length; ++i) {
            int24 base = (first + int24(uint24(i))) * 256;
            uint256 bit = 0;
            for (uint256 rest = words[i]; rest != 0; rest >>= 1) {
                int24 tick = (base + int24(uint24(bit++))) * spacing;
                if (rest & 1 == 0 || tick < lowest || tick > highest) continue;
                ticks[count++] = int256(tick) * 2 ** 128 + _net(pool, tick);
            }
        }
        assembly ("memory-safe") {
            mstore(ticks, count)
        }
    }

    function _net(IUniswapV3Pool pool, int24 tick) private view returns (int128 net) {
        (, net,,,,,,) = pool.ticks(tick);
    }

    function _floor(int24 tick, int24 spacing) private pure returns (int24 place) {
        place = tick / spacing;
        if (tick < 0 && tick % spacing != 0) --place;
    }
}
