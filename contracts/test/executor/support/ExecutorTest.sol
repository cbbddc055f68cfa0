// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {KeeperExecutor} from "../../../src/KeeperExecutor.sol";
import {IKeeperExecutor} from "../../../src/interfaces/IKeeperExecutor.sol";
import {TestToken} from "../../../src/mocks/TestToken.sol";
import {vm} from "../../support/Vm.sol";
import {StubLender} from "./StubLender.sol";

interface IFactory {
    function createPool(address tokenA, address tokenB, uint24 fee) external returns (address pool);
}

interface IPool {
    function token0() external view returns (address);
    function token1() external view returns (address);
    function initialize(uint160 sqrtPriceX96) external;
    function mint(address recipient, int24 lower, int24 upper, uint128 amount, bytes calldata data)
        external
        returns (uint256 amount0, uint256 amount1);
}

/// An executor of this test's own, on Uniswap v3 as it was published, beside a lender that does as it is told.
abstract contract ExecutorTest {
    uint160 internal constant PAR = 79228162514264337593543950336; // a price of one, 2^96
    int24 internal constant WIDEST = 887_220; // a multiple of the tick spacing of 60
    string private constant FACTORY =
        "node_modules/@uniswap/v3-core/artifacts/contracts/UniswapV3Factory.sol/UniswapV3Factory.json";

    address internal account = address(0xACC);
    address internal stranger = address(0xBAD);
    address internal treasury = address(0x7EA);
    address internal nobody = address(0);
    IFactory internal factory;
    KeeperExecutor internal executor;
    StubLender internal lender = new StubLender();

    function setUp() public virtual {
        factory = newFactory();
        executor = new KeeperExecutor(treasury, address(this), address(factory), nobody);
    }

    // ---------------------------------------------------------------- markets

    function newFactory() internal returns (IFactory made) {
        bytes memory code = vm.parseJsonBytes(vm.readFile(FACTORY), ".bytecode");
        assembly ("memory-safe") {
            made := create(0, add(code, 32), mload(code))
        }
        assertTrue(address(made) != address(0), "Uniswap's factory");
    }

    /// A pool at par over all prices, fee 0.3 %.
    function newPool(IFactory from, address a, address b, uint128 liquidity) internal returns (address pool) {
        pool = from.createPool(a, b, 3000);
        IPool(pool).initialize(PAR);
        if (liquidity > 0) IPool(pool).mint(address(this), -WIDEST, WIDEST, liquidity, "");
    }

    function uniswapV3MintCallback(uint256 owed0, uint256 owed1, bytes calldata) external {
        TestToken(IPool(msg.sender).token0()).mint(msg.sender, owed0);
        TestToken(IPool(msg.sender).token1()).mint(msg.sender, owed1);
    }

    // ---------------------------------------------------------------- orders

    function through(address pool) internal pure returns (address[] memory pools) {
        pools = new address[](1);
        pools[0] = pool;
    }

    function through(address first, address second) internal pure returns (address[] memory pools) {
        pools = new address[](2);
        (pools[0], pools[1]) = (first, second);
    }

    /// Any profit will do: for tests that look at something else.
    function lending(address collateral, address debt, uint256 repay, address[] memory pools)
        internal
        view
        returns (IKeeperExecutor.AaveLiquidation memory order)
    {
        order.pool = address(lender);
        order.account = account;
        order.collateral = collateral;
        order.debt = debt;
        order.repay = repay;
        order.swap.pools = pools;
        order.deadline = block.timestamp;
    }

    // ---------------------------------------------------------------- expectations

    function expectUnprofitable(address token, int256 profit, int256 least) internal {
        vm.expectRevert(abi.encodeWithSelector(IKeeperExecutor.Unprofitable.selector, token, profit, least));
    }

    function expectShortfall(address token, uint256 amount, uint256 least) internal {
        vm.expectRevert(abi.encodeWithSelector(IKeeperExecutor.Shortfall.selector, token, amount, least));
    }

    function expectUnexpected(address caller) internal {
        vm.expectRevert(abi.encodeWithSelector(IKeeperExecutor.Unexpected.selector, caller));
    }

    function bound(uint256 value, uint256 least, uint256 most) internal pure returns (uint256) {
        return least + value % (most - least + 1);
    }

    function assertTrue(bool condition, string memory message) internal pure {
        vm.assertTrue(condition, message);
    }

    function assertEq(uint256 a, uint256 b, string memory message) internal pure {
        vm.assertEq(a, b, message);
    }

    function assertEq(int256 a, int256 b, string memory message) internal pure {
        vm.assertEq(a, b, message);
    }
}
