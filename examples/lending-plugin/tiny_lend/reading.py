"""What is asked of the chain, and what the answers and the logs mean."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from keeper.abi import checksum
from keeper.defi import chainlink, erc20
from keeper.errors import InvariantBroken, OperatorError
from keeper.model.chain import Call, CallResult, Log
from keeper.protocols.columns import Writer
from tiny_lend.abi import EVENTS, VIEWS
from tiny_lend.state import COLLATERAL, DEBT, ONLY, Market, Readings, Terms, Token

_MOST_DECIMALS = 18
_ASKED = ("collateral", "debt", "feed", "heartbeat", "threshold", "bonus")


@dataclass(frozen=True, slots=True)
class Parts:
    """The answers of the contract itself: the first round."""

    collateral: bytes
    debt: bytes
    feed: bytes
    heartbeat: int
    threshold: int
    bonus: int

    @classmethod
    def calls(cls, lend: bytes) -> list[Call]:
        return [Call(lend, VIEWS[name].encode()) for name in _ASKED]

    @classmethod
    def of(cls, lend: bytes, results: Sequence[CallResult]) -> "Parts":
        """Raises OperatorError: what lives at the address is no Tiny Lend."""
        words = [erc20.amount_of(result) for result in results]
        for name, word in zip(_ASKED, words, strict=True):
            if word is None:
                raise OperatorError(f"KEEPER_DEPLOYMENT: TinyLend at {checksum(lend)} does not answer `{name}`")
        collateral, debt, feed = (result.data[12:] for result in results[:3])
        return cls(collateral, debt, feed, *(word or 0 for word in words[3:]))

    def more(self) -> list[Call]:
        """The second round: what the tokens and the feed say of themselves."""
        described = [*erc20.describe(self.collateral), *erc20.describe(self.debt)]
        return [*described, Call(self.feed, chainlink.DECIMALS)]

    def terms(self, results: Sequence[CallResult]) -> Terms:
        tokens = [erc20.described(self.collateral, list(results[:2])), erc20.described(self.debt, list(results[2:4]))]
        decimals = chainlink.decimals_of(results[4])
        if decimals is None or decimals > _MOST_DECIMALS:
            raise OperatorError(f"KEEPER_DEPLOYMENT: the feed at {checksum(self.feed)} returns no usable decimals")
        collateral, debt = (_token(token) for token in tokens)
        scale = int(10 ** (18 - decimals))
        return Terms(collateral, debt, self.feed, scale, self.heartbeat, self.threshold, self.bonus)


def _token(found: erc20.Token) -> Token:
    if found.decimals is None or found.decimals > _MOST_DECIMALS:
        raise OperatorError(f"KEEPER_DEPLOYMENT: the token at {checksum(found.address)} returns no usable decimals")
    return Token(found.address, found.symbol, found.decimals)


_SUPPLIED, _WITHDRAWN = EVENTS["Supplied"].topic, EVENTS["Withdrawn"].topic
_BORROWED, _REPAID = EVENTS["Borrowed"].topic, EVENTS["Repaid"].topic
_LIQUIDATED, _PAUSED_SET = EVENTS["Liquidated"].topic, EVENTS["PausedSet"].topic
TOPICS = (_SUPPLIED, _WITHDRAWN, _BORROWED, _REPAID, _LIQUIDATED, _PAUSED_SET)


def fold(market: Market, log: Log, writer: Writer) -> Market:
    """Apply one log. Raises InvariantBroken when it cannot be what the contract emits."""
    topic = log.topics[0]
    words = [int.from_bytes(log.data[at : at + 32], "big") for at in range(0, len(log.data), 32)]
    try:
        if topic == _PAUSED_SET:
            return replace(market, paused=bool(words[0]))
        account = log.topics[1][12:]
        if topic in (_BORROWED, _REPAID):
            # The log says how much was lent, not in how many shares: only that the account has to be asked.
            writer.put(DEBT, account, ONLY, writer.get(DEBT, account, ONLY))
            return market
        change = words[0] if topic == _SUPPLIED else -words[1 if topic == _LIQUIDATED else 0]
        [amount] = writer.get(COLLATERAL, account, ONLY)
        writer.put(COLLATERAL, account, ONLY, [amount + change])
        return replace(market, total_collateral=market.total_collateral + change)
    except (IndexError, OverflowError) as error:
        raise InvariantBroken(f"log {log.index} of block {log.block_number} cannot be folded: {error}") from error


def account_reads(lend: bytes, account: bytes) -> list[Call]:
    return [Call(lend, VIEWS["sharesOf"].encode(account))]


def fold_account(account: bytes, results: Sequence[CallResult], writer: Writer) -> None:
    shares = erc20.amount_of(results[0])
    if shares is None:
        raise InvariantBroken(f"sharesOf {checksum(account)} does not answer")
    if (shares,) != writer.get(DEBT, account, ONLY):  # no row for those who never borrowed
        writer.put(DEBT, account, ONLY, [shares])


def reads(lend: bytes, terms: Terms) -> list[Call]:
    return [chainlink.latest(terms.feed), Call(lend, VIEWS["accrual"].encode())]


def decode_reads(terms: Terms, results: Sequence[CallResult]) -> Readings:
    """A feed that does not answer is a problem to report, never a number; a contract that does not is not Tiny Lend."""
    found = chainlink.round_of(results[0])
    if not results[1].ok:
        raise InvariantBroken("Tiny Lend does not answer `accrual`")
    accrued = VIEWS["accrual"].decode(results[1].data)
    if found is None:
        return Readings(0, 0, "unreadable", *accrued)
    return Readings(found.answer * terms.feed_scale, found.updated_at, "", *accrued)
