// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {KeeperExecutor} from "../../../src/KeeperExecutor.sol";
import {IKeeperExecutor} from "../../../src/interfaces/IKeeperExecutor.sol";
import {MoodyToken} from "../../../src/mocks/MoodyToken.sol";
import {TestToken} from "../../../src/mocks/TestToken.sol";
import {vm} from "../../support/Vm.sol";
import {ExecutorTest, IPool} from "./ExecutorTest.sol";
import {Hostile, IOperator} from "./Hostile.sol";
import {HookToken, WrappedCoin} from "./Tokens.sol";

/// A stolen operator key with contracts of its own, strangers, and a treasury that changes its rules now and then.
/// Counts what happened, and holds what must be true of each action; `ExecutorInvariants` holds what must be true always.
contract ExecutorHandler is ExecutorTest, IOperator {
    struct Rules {
        address treasury;
        address operator;
        address pending;
        uint256 bound;
        uint256[4] floors;
        bool[4] held;
    }

    struct Counts {
        uint256 liquidations;
        uint256 batches;
        uint256 sales;
        uint256 sweeps;
        uint256 refuels;
        uint256 refused;
        uint256 strangers;
        uint256 tries;
    }

    // By number: capital of the list, a token that calls, one that takes a fee, the wrapped coin.
    TestToken internal cash = new TestToken("CASH", 18);
    HookToken internal hooked = new HookToken();
    MoodyToken internal moody = new MoodyToken("FEE", 18);
    WrappedCoin internal coin = new WrappedCoin();
    Hostile internal hostile;
    address[] internal pools;
    Rules internal rules;
    Counts internal counts;
    uint256[4] public capital; // of each token at least this is the executor's and the treasury's together
    uint256 public coins; // and of coins with wrapped ones, beside what was taken for gas
    uint256 public refuelled;
    uint256 public takenToday;
    uint256 public today;

    receive() external payable {}

    function setUp() public override {
        super.setUp();
        vm.warp(1_700_000_000);
        executor = new KeeperExecutor(treasury, address(this), address(factory), address(coin));
        hostile = new Hostile(address(executor), this);
        for (uint256 i = 0; i < 4; ++i) {
            for (uint256 k = i + 1; k < 4; ++k) {
                pools.push(newPool(factory, address(token(i)), address(token(k)), 1e24));
            }
            token(i).mint(address(hostile), 1e30);
        }
        vm.deal(address(coin), 1e24);
        cash.mint(address(executor), 1_000e18);
        coin.mint(address(executor), 5 ether);
        moody.setFee(100);
        hooked.hook(address(hostile), abi.encodeCall(hostile.attack, ()));
        vm.startPrank(treasury);
        executor.setHeld(address(cash), true);
        executor.setHeld(address(coin), true);
        executor.setGasBound(1 ether);
        vm.stopPrank();
        note();
        count();
    }

    /// As the operator, from inside of somebody else's code.
    function poke(bytes calldata call) external returns (bool done) {
        (done,) = address(executor).call(call);
    }

    // ---------------------------------------------------------------- what the stolen key does

    function liquidate(uint256 kind, uint256 seed) external {
        arm(seed);
        act(step(kind, seed), 0, seed);
    }

    function batch(uint256 a, uint256 b, uint256 seed) external {
        arm(seed);
        bytes[] memory steps = new bytes[](2);
        (steps[0], steps[1]) = (step(a, seed), a % 3 == 0 ? entry(b, seed) : step(b, seed / 3));
        uint256[] memory limits = new uint256[](2);
        (limits[0], limits[1]) = (3_000_000, b % 5 == 0 ? type(uint128).max : 3_000_000);
        act(
            abi.encodeCall(executor.batch, (steps, limits, address(token(seed)), least(seed), block.timestamp)), 1, seed
        );
    }

    function sell(uint256 what, uint256 first, uint256 second, uint256 seed) external {
        arm(seed);
        address[] memory sold = through(pools[first % pools.length], pools[second % pools.length]);
        if (seed % 4 != 0) sold = through(factoryPool(address(token(what)), address(token(first))));
        act(abi.encodeCall(executor.sell, (address(token(what)), sold, seed % 3)), 2, seed);
    }

    function sweep(uint256 what, uint256 amount) external {
        arm(amount);
        address swept = what % 5 == 4 ? address(0) : address(token(what));
        act(abi.encodeCall(executor.sweep, (swept, amount % 2e18)), 3, amount);
    }

    function refuel(uint256 amount) external {
        uint256 before = address(this).balance;
        uint256 bound_ = executor.gasBound();
        act(abi.encodeCall(executor.refuel, (amount % 1.5e18)), 4, amount);
        uint256 taken = address(this).balance - before;
        if (today != block.timestamp / 1 days) (today, takenToday) = (block.timestamp / 1 days, 0);
        takenToday += taken;
        refuelled += taken;
        assertTrue(taken == 0 || takenToday <= bound_, "more for gas than the bound of a day");
    }

    /// What only the treasury may do, by the operator: every entry with any arguments.
    function usurp(uint256 which, uint256 seed) external {
        (bool done,) = address(executor).call(entry(7 + which % 6, seed));
        assertTrue(!done, "the operator did what only the treasury may");
    }

    function disturb(uint256 who, uint256 which, uint256 seed) external {
        address caller = address(uint160(uint256(keccak256(abi.encode(who))) | 1 << 159));
        bytes memory call = entry(which, seed);
        vm.prank(caller);
        (bool done,) = address(executor).call(call);
        assertTrue(!done, "a stranger came through");
        ++counts.strangers;
    }

    // ---------------------------------------------------------------- what the treasury and the world do

    function govern(uint256 which, uint256 what, uint256 value) external {
        vm.startPrank(treasury);
        if (which % 4 == 0) executor.setFloor(address(token(what)), value % 3e18);
        else if (which % 4 == 1) executor.setHeld(address(token(1 + what % 2)), value % 2 == 0);
        else if (which % 4 == 2) executor.setGasBound(value % 2e18);
        else executor.offerTreasury(value % 2 == 0 ? address(0) : address(uint160(0x0FFE2)));
        vm.stopPrank();
        note();
    }

    function pay(uint256 what, uint256 amount) external {
        token(what).mint(address(executor), amount % 100e18);
        vm.deal(address(executor), address(executor).balance + amount % 1e16);
        count();
    }

    function nextDay(uint256 seconds_) external {
        vm.warp(block.timestamp + seconds_ % 2 days);
    }

    // ---------------------------------------------------------------- how

    /// One call as the operator. Whatever it did, no rule changed, no token of the list is lost, no approval is left.
    function act(bytes memory call, uint256 kind, uint256 seed) private {
        (bool done, bytes memory answer) = address(executor).call(call);
        counts.tries = hostile.tries();
        hostile.arm(address(cash), address(cash), 0, ""); // what comes in while nothing runs is the operator's right
        assertTrue(hostile.entered() == 0, "somebody came in while something ran");
        if (!done) {
            ++counts.refused;
            return;
        }
        if (kind == 0) ++counts.liquidations;
        else if (kind == 1) ++counts.batches;
        else if (kind == 2) ++counts.sales;
        else if (kind == 3) ++counts.sweeps;
        else ++counts.refuels;
        if (kind == 0) assertTrue(abi.decode(answer, (int256)) >= least(seed), "less than the least profit");
    }

    function step(uint256 kind, uint256 seed) private view returns (bytes memory) {
        if (kind % 3 == 0) {
            IKeeperExecutor.AaveLiquidation memory order;
            order.pool = address(hostile);
            order.account = account;
            (order.collateral, order.debt) = (address(token(seed / 5)), address(token(seed)));
            order.repay = seed / 31 % 100e18;
            order.flashLoan = seed / 37 % 2 == 0;
            order.swap.pools = route(order.collateral, order.debt, seed);
            order.minProfit = least(seed);
            order.deadline = block.timestamp;
            return abi.encodeCall(executor.liquidateAave, (order));
        }
        if (kind % 3 == 1) {
            IKeeperExecutor.CurieLiquidation memory perpetual;
            (perpetual.clearingHouse, perpetual.account, perpetual.baseToken) =
            (address(hostile), account, address(0xBA5E));
            perpetual.margin = seed / 31 % 100e18;
            perpetual.cancelOrders = seed / 37 % 2 == 0;
            perpetual.minProfit = least(seed);
            perpetual.deadline = block.timestamp;
            return abi.encodeCall(executor.liquidateCurie, (perpetual));
        }
        IKeeperExecutor.CurieCollateral memory sale;
        (sale.vault, sale.account, sale.collateral) = (address(hostile), account, address(token(seed / 5)));
        sale.amount = seed / 31 % 100e18;
        sale.swap.pools = route(sale.collateral, address(token(seed)), seed);
        sale.minProfit = least(seed);
        sale.deadline = block.timestamp;
        return abi.encodeCall(executor.liquidateCurieCollateral, (sale));
    }

    function route(address from, address to, uint256 seed) private view returns (address[] memory) {
        if (from == to) return new address[](0);
        if (seed / 41 % 8 == 0) return through(pools[seed / 43 % pools.length]);
        return through(factoryPool(from, to));
    }

    function factoryPool(address a, address b) private view returns (address found) {
        for (uint256 i = 0; i < pools.length; ++i) {
            (address x, address y) = (IPool(pools[i]).token0(), IPool(pools[i]).token1());
            if ((x == a && y == b) || (x == b && y == a)) found = pools[i];
        }
    }

    /// At least the floor, mostly; sometimes less, which is refused.
    function least(uint256 seed) private view returns (int256) {
        int256 floor = int256(executor.floor(address(token(seed))));
        return seed / 47 % 16 == 0 ? floor - 1 : floor;
    }

    /// Every entry, by number; those from 7 on are the treasury's.
    function entry(uint256 which, uint256 seed) private view returns (bytes memory) {
        uint256 kind = which % 15;
        address who = address(uint160(seed | 1 << 158));
        if (kind < 3) return step(kind, seed);
        if (kind == 3) {
            return abi.encodeCall(
                executor.batch, (new bytes[](0), new uint256[](0), address(cash), int256(4e18), block.timestamp)
            );
        }
        if (kind == 4) return abi.encodeCall(executor.sell, (address(hooked), through(pools[0]), 1));
        if (kind == 5) return abi.encodeCall(executor.sweep, (address(cash), 0));
        if (kind == 6) return abi.encodeCall(executor.refuel, (0));
        if (kind == 7) return abi.encodeCall(executor.offerTreasury, (who));
        if (kind == 8) return abi.encodeCall(executor.acceptTreasury, ());
        if (kind == 9) return abi.encodeCall(executor.setOperator, (who));
        if (kind == 10) return abi.encodeCall(executor.setFloor, (address(cash), seed));
        if (kind == 11) return abi.encodeCall(executor.setHeld, (address(cash), false));
        if (kind == 12) return abi.encodeCall(executor.setGasBound, (seed % 1e30));
        if (kind == 13) {
            return abi.encodeCall(executor.executeOperation, (address(cash), seed, 0, address(executor), ""));
        }
        bytes memory data = abi.encode(address(cash), seed % 2 == 0, type(uint256).max);
        return abi.encodeCall(executor.uniswapV3SwapCallback, (int256(1e18), int256(1e18), data));
    }

    function arm(uint256 seed) private {
        hostile.arm(address(token(seed)), address(token(seed / 3)), seed, entry(seed / 53, seed / 59));
    }

    // ---------------------------------------------------------------- what must stay

    function note() private {
        rules = rulesNow();
    }

    function count() private {
        for (uint256 i = 0; i < 4; ++i) {
            capital[i] = owned(i);
        }
        coins = coinsOwned();
    }

    function owned(uint256 i) public view returns (uint256) {
        return token(i).balanceOf(address(executor)) + token(i).balanceOf(treasury);
    }

    /// Coins and wrapped coins, and those that were taken for gas.
    function coinsOwned() public view returns (uint256) {
        return address(executor).balance + treasury.balance + owned(3) + refuelled;
    }

    function rulesNow() private view returns (Rules memory now_) {
        (now_.treasury, now_.operator) = (executor.treasury(), executor.operator());
        (now_.pending, now_.bound) = (executor.pendingTreasury(), executor.gasBound());
        for (uint256 i = 0; i < 4; ++i) {
            now_.floors[i] = executor.floor(address(token(i)));
            now_.held[i] = executor.held(address(token(i)));
        }
    }

    function rulesStand() external view returns (bool) {
        return keccak256(abi.encode(rules)) == keccak256(abi.encode(rulesNow()));
    }

    function nothingIsApproved() external view returns (bool) {
        for (uint256 i = 0; i < 4; ++i) {
            if (token(i).allowance(address(executor), address(hostile)) != 0) return false;
            for (uint256 k = 0; k < pools.length; ++k) {
                if (token(i).allowance(address(executor), pools[k]) != 0) return false;
            }
        }
        return true;
    }

    function isFree() external returns (bool done) {
        (done,) = address(executor).call(abi.encodeCall(executor.sweep, (address(cash), 0)));
    }

    function token(uint256 i) public view returns (TestToken) {
        return [cash, TestToken(address(hooked)), TestToken(address(moody)), TestToken(address(coin))][i % 4];
    }

    function theCounts() external view returns (Counts memory) {
        return counts;
    }
}
