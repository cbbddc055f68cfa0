"""Facts about what logs list: symbols, decimals, the feed of a token, pools where a collateral can be sold."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from keeper.abi import load_abi
from keeper.defi import erc20, uniswap_reads
from keeper.defi.uniswap_v3 import Pool
from keeper.model.chain import Call, CallResult
from keeper.protocols.curie.contracts import CORE, Contracts
from keeper.protocols.curie.exits import ExitFactory
from keeper.protocols.curie.state import SETTLEMENT, CurieMarket, CurieSource, CurieState, CurieToken

_AROUND = load_abi("ICurieMarket").functions
_WORD = 32
_MOST_DECIMALS = 18  # of tokens and feeds that are computed with here


class Asker:
    """Answers calls from known facts, and collects the calls without an answer."""

    def __init__(self, state: CurieState) -> None:
        self._facts = state.facts
        self.open: list[Call] = []

    def ask(self, call: Call) -> bytes | None:
        """None while the answer is missing, and when the call failed."""
        if call not in self._facts and call not in self.open:
            self.open.append(call)
        return self._facts.get(call)

    def pending(self, call: Call) -> bool:
        return call not in self._facts

    def address(self, call: Call) -> bytes | None:
        """The address in an answer; the zero address counts as none."""
        answer = self.ask(call)
        return answer[12:] if answer is not None and len(answer) == _WORD and any(answer) else None

    def number(self, call: Call) -> int | None:
        answer = self.ask(call)
        return int.from_bytes(answer, "big", signed=True) if answer is not None and len(answer) == _WORD else None


def lookups(contracts: Contracts, exit_factory: ExitFactory, state: CurieState) -> list[Call]:
    asker = Asker(state)
    for market in state.markets:
        _market(asker, market)
    for token in state.tokens[1:]:
        _token(asker, contracts, exit_factory, token)
    return asker.open


def looked_up(
    contracts: Contracts, exit_factory: ExitFactory, state: CurieState, results: Sequence[CallResult]
) -> CurieState:
    """The state with these answers, and the markets and tokens that follow from them."""
    answers = {
        call: result.data if result.ok else None
        for call, result in zip(lookups(contracts, exit_factory, state), results, strict=True)
    }
    state = replace(state, facts={**state.facts, **answers})
    asker = Asker(state)
    markets = tuple(_market(asker, market) for market in state.markets)
    tokens = tuple(
        token if token.id == SETTLEMENT else _token(asker, contracts, exit_factory, token) for token in state.tokens
    )
    return replace(state, markets=markets, tokens=tokens)


def _market(asker: Asker, market: CurieMarket) -> CurieMarket:
    symbol = asker.ask(erc20.symbol(market.base))
    spacing = asker.number(_call(market.pool, "tickSpacing"))
    asked = _call(market.base, "getPriceFeed")
    feed = asker.address(asked)
    source = None if asker.pending(asked) else CurieSource(b"", problem="no feed")
    return replace(
        market,
        symbol=erc20.symbol_of(CallResult(symbol is not None, symbol or b"")),
        spacing=spacing or 0,
        source=_source(asker, feed) if feed else source,
    )


def _token(asker: Asker, contracts: Contracts, exit_factory: ExitFactory, token: CurieToken) -> CurieToken:
    symbol = asker.ask(erc20.symbol(token.address))
    decimals = asker.number(erc20.decimals(token.address))
    config = asker.ask(Call(contracts.collateral_manager, CORE["getCollateralConfig"].encode(token.address)))
    source = _source(asker, config[12:_WORD]) if config else None
    if source and decimals is not None and not 0 <= decimals <= _MOST_DECIMALS:
        source = replace(source, problem=f"a collateral of {decimals} decimals")
    return replace(
        token,
        symbol=erc20.symbol_of(CallResult(symbol is not None, symbol or b"")),
        decimals=_MOST_DECIMALS if decimals is None else decimals,
        source=source,
        exits=tuple(_exits(asker, contracts, exit_factory.factory or contracts.factory, token)),
    )


def _exits(asker: Asker, contracts: Contracts, factory: bytes, token: CurieToken) -> Iterator[Pool]:
    """The pools that exist."""
    low, high = sorted((token.address, contracts.settlement))
    for fee in uniswap_reads.FEES:
        if pool := asker.address(uniswap_reads.find(factory, low, high, fee)):
            spacing = asker.number(_call(pool, "tickSpacing"))
            if spacing:
                yield Pool(pool, low, high, fee, spacing)


def _source(asker: Asker, feed: bytes) -> CurieSource | None:
    """A PriceFeedDispatcher or a ChainlinkPriceFeedV3; any other feed gets a `problem`.

    None while an answer is missing.
    """
    through = _call(feed, "getChainlinkPriceFeedV3")
    chainlink_feed = asker.address(through)
    decimals = asker.number(_call(feed, "decimals"))
    if asker.pending(through) or asker.pending(_call(feed, "decimals")):
        return None
    dispatched = chainlink_feed is not None
    real = chainlink_feed or feed
    timeout, asked = _call(real, "getTimeout"), _call(real, "getAggregator")
    aggregator, known = asker.address(asked), asker.number(timeout) is not None
    feed_decimals = asker.number(_call(real, "decimals"))
    if asker.pending(asked) or asker.pending(timeout) or asker.pending(_call(real, "decimals")):
        return None
    if aggregator is None or not known or decimals is None or feed_decimals is None:
        return CurieSource(feed, problem="a feed that is neither a PriceFeedDispatcher nor a ChainlinkPriceFeedV3")
    return CurieSource(feed, real, aggregator, decimals, feed_decimals, dispatched)


def _call(contract: bytes, getter: str) -> Call:
    return Call(contract, _AROUND[getter].encode())
