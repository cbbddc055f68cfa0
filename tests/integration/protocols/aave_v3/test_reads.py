"""What the Aave adapter reads raw is what the contracts' views say; listings come and go under a running keeper."""

from collections.abc import Iterator

import pytest
from eth_abi.abi import encode

from keeper.book.discovery import discover
from keeper.book.sync import Advance, BookSync
from keeper.chain.connect import connect
from keeper.errors import InvariantBroken, OperatorError
from keeper.model.chain import hexed, unhexed
from keeper.protocols.aave_v3 import AaveV3Protocol
from keeper.protocols.aave_v3.state import holdings_of
from keeper.protocols.base import Deployment
from keeper.sim.markets.aave_v3 import STABLE, V3_0_2, V3_6, VARIABLE
from keeper.sim.node.anvil import Anvil
from keeper.sim.node.artifacts import Artifact, ask, calldata, forged
from keeper.sim.node.client import Tx
from tests.support.aave import AaveBench
from tests.support.engine import account

ALICE, BOB = account(0), account(1)
IMPLEMENTATION = "0x360894a13ba1a3210667c828492db98dca3e2076cc3735a920a3ca505d382bbc"
IN_302 = (
    "initReserves((address,address,address,uint8,address,address,address,address,"
    "string,string,string,string,string,string,bytes)[])"
)
IN_36 = "initReserves((address,address,address,string,string,string,string,bytes,bytes)[])"


@pytest.fixture(params=[V3_0_2, V3_6])
def bench(request: pytest.FixtureRequest) -> Iterator[AaveBench]:
    with Anvil(mining=False) as anvil:
        yield AaveBench.on(anvil, request.param, 2)


def test_raw_slots_are_what_the_views_say(bench: AaveBench) -> None:
    deployed, node = bench.deployed, bench.node
    node.send(
        deployed.supply(ALICE, "WETH", 10**19),
        deployed.supply(ALICE, "DAI", 10**21),
        deployed.borrow(ALICE, "USDC", 5_000 * 10**6),
        deployed.borrow(ALICE, "USDC", 3_000 * 10**6, STABLE if deployed.version == V3_0_2 else VARIABLE),
        deployed.supply(BOB, "USDC", 10**10),
        deployed.set_emode(BOB, 2),
        deployed.borrow(BOB, "DAI", 10**21),
    )
    bench.mine_at(bench.head().timestamp + 10**6, deployed.use_as_collateral(ALICE, "DAI", False))
    snapshot = bench.snapshot()
    for who in (ALICE, BOB):
        row = snapshot.columns.accounts.row(who)
        assert row is not None
        held = holdings_of(snapshot.columns, row)
        assert held.category == ask(node, deployed.pool, "getUserEMode(address)", who)
        flags = ask(node, deployed.pool, "getUserConfiguration(address)", who)
        for reserve in snapshot.state.reserves:
            supply, debt = held.supplies.get(reserve.index), held.debts.get(reserve.index)
            bits = flags >> 2 * reserve.id
            assert bool(supply and supply.collateral) == bool(bits >> 1 & 1)
            assert bool(debt and debt.borrowing) == bool(bits & 1)
            scaled = [ask(node, token, "scaledBalanceOf(address)", who) for token in reserve.tokens[:2]]
            assert [supply.scaled if supply else 0, debt.scaled if debt else 0] == scaled
            if reserve.stable_token:
                names = ("principalBalanceOf", "getUserStableRate", "getUserLastUpdated")
                views = [ask(node, reserve.stable_token, f"{name}(address)", who) for name in names]
                assert views == ([debt.principal, debt.rate, debt.since] if debt else [0, 0, 0])
    for reserve in snapshot.state.reserves:
        data, when = snapshot.readings.reserves[reserve.index], snapshot.block.timestamp
        income = ask(node, deployed.pool, "getReserveNormalizedIncome(address)", reserve.asset)
        assert data.income(when) == income
        debt_index = ask(node, deployed.pool, "getReserveNormalizedVariableDebt(address)", reserve.asset)
        assert data.debt(bench.protocol._version, when) == debt_index


class Listing:
    """Lists assets while a keeper watches."""

    def __init__(self, bench: AaveBench) -> None:
        self.bench = bench

    def create(self, artifact: Artifact, *args: object) -> bytes:
        deployed = self.bench.deployed
        [receipt] = self.bench.node.send(Tx(deployed.owner, None, artifact.creation(*args)))
        return unhexed(str(receipt["contractAddress"]))

    def implementation(self, proxy: bytes) -> bytes:
        word = unhexed(self.bench.node.rpc("eth_getStorageAt", hexed(proxy), IMPLEMENTATION, "latest"))
        return word[12:]

    def add(self, symbol: str) -> bytes:
        """A reserve like WETH, at 100 dollars. Returns its asset."""
        bench, like = self.bench, self.bench.deployed.reserves["WETH"]
        deployed = bench.deployed
        token = self.create(forged("TestToken"), symbol, 18)
        feed = self.create(forged("SettableFeed"), 8, 100 * 10**8)
        a_token, debt = self.implementation(like.a_token), self.implementation(like.variable_debt)
        names = (f"a{symbol}",) * 2 + (f"v{symbol}",) * 2
        if deployed.version == V3_6:
            made = (a_token, debt, token, *names, b"", encode(["uint256"] * 4, [8_000, 0, 400, 6_000]))
            listing = deployed.configure(IN_36, [made])
        else:
            strategy = ask(bench.node, deployed.pool, "getReserveData(address)", like.token, returns=["uint256"] * 15)[
                11
            ]
            stable = self.implementation(like.stable_debt)
            made = (a_token, stable, debt, 18, strategy.to_bytes(20, "big"), token, deployed.owner, bytes(20), *names)
            listing = deployed.configure(IN_302, [(*made, "s", "s", b"")])
        bench.node.send(
            Tx(deployed.owner, deployed.oracle, calldata("setAssetSources(address[],address[])", [token], [feed])),
            Tx(listing.sender, listing.to, listing.data, 6_000_000),
            deployed.configure(
                "configureReserveAsCollateral(address,uint256,uint256,uint256)", token, 7_000, 8_000, 10_500
            ),
        )
        return token

    def drop(self, token: bytes) -> None:
        self.bench.node.send(self.bench.deployed.configure("dropReserve(address)", token))

    def supply(self, token: bytes, units: int) -> None:
        """Alice's, as collateral."""
        deployed = self.bench.deployed
        self.bench.node.send(
            Tx(deployed.owner, token, calldata("mint(address,uint256)", ALICE, units)),
            Tx(ALICE, token, calldata("approve(address,uint256)", deployed.pool, units)),
            Tx(ALICE, deployed.pool, calldata("supply(address,uint256,address,uint16)", token, units, ALICE, 0)),
        )


async def test_reserves_that_are_listed_and_dropped_are_followed_by_logs_alone(bench: AaveBench) -> None:
    deployed, listing = bench.deployed, Listing(bench)
    bench.node.send(deployed.supply(ALICE, "WETH", 10**18), deployed.borrow(ALICE, "USDC", 10**9))
    async with await connect([bench.anvil.url], deployed.chain_id, 10, lambda _: None) as chain:
        deployment = Deployment(
            "aave_v3", deployed.chain_id, deployed.start_block, {"PoolAddressesProvider": deployed.provider}
        )
        protocol = await discover(chain.reader, AaveV3Protocol(deployment))
        follower = BookSync(chain.reader, protocol, deployed.start_block, lambda _: None, audit_accounts=10)

        async def follow() -> Advance:
            advance = await follower.advance(await chain.reader.head())
            assert advance is not None
            assert advance.mismatches == ()
            return advance

        known = len((await follow()).snapshot.state.reserves)
        passing = listing.add("PASS")
        await follow()
        listing.drop(passing)
        staying = listing.add("STAY")  # in the place of the one that went
        listing.supply(staying, 50 * 10**18)
        state = (await follow()).snapshot.state
        [reserve] = [item for item in state.listed() if item.asset == staying]
        assert (reserve.id, len(state.listed()), len(state.reserves)) == (known, known + 1, known + 2)
        # A keeper that starts now finds the same.
        again = await discover(chain.reader, AaveV3Protocol(deployment))
        fresh = BookSync(chain.reader, again, deployed.start_block, lambda _: None, audit_accounts=10)
        advance = await fresh.advance(await chain.reader.head())
        assert advance is not None
        assert advance.mismatches == ()
        row = advance.snapshot.columns.accounts.row(ALICE)
        assert row is not None
        there = follower.book.columns.accounts.row(ALICE)
        assert there is not None
        when = advance.snapshot.block.timestamp
        assert again.health(advance.snapshot, row, when) == protocol.health((await _same(follower)), there, when)


async def _same(follower: BookSync):  # type: ignore[no-untyped-def]
    """The follower's snapshot once more."""
    follower.look_again()
    advance = await follower.advance(follower.book.head)  # type: ignore[arg-type]
    assert advance is not None
    return advance.snapshot


async def test_a_pool_of_another_revision_is_refused_by_name_before_and_while_it_is_watched(
    bench: AaveBench,
) -> None:
    """POOL_REVISION is a constant: the implementation's code says 7 from now on."""
    deployed, node = bench.deployed, bench.node
    implementation = Listing(bench).implementation(deployed.pool)
    snapshot = bench.snapshot()
    stub = "60" + "07" + "60005260206000f3"  # returns 7 to whatever is asked
    node.rpc("anvil_setCode", hexed(implementation), "0x" + stub)
    answers = bench.read(bench.protocol.reads(snapshot.state), bench.head())
    with pytest.raises(InvariantBroken, match=r"from revision \d+ to 7"):
        bench.protocol.decode_reads(snapshot.state, answers)
    async with await connect([bench.anvil.url], deployed.chain_id, 10, lambda _: None) as chain:
        deployment = Deployment(
            "aave_v3", deployed.chain_id, deployed.start_block, {"PoolAddressesProvider": deployed.provider}
        )
        with pytest.raises(OperatorError, match=r"has revision 7; this keeper supports 1 \(3.0.2\), 10 \(3.6\)"):
            await discover(chain.reader, AaveV3Protocol(deployment))
        wrong = {"PoolAddressesProvider": deployed.reserves["WETH"].token}
        with pytest.raises(OperatorError, match="not Aave v3's PoolAddressesProvider"):
            await discover(chain.reader, AaveV3Protocol(Deployment("aave_v3", deployed.chain_id, 0, wrong)))
