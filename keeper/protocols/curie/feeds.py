"""Index prices as ChainlinkPriceFeedV3 and its dispatcher return them, at the block's time or later."""

from bisect import bisect_right

from keeper.defi.fixed_point import WAD
from keeper.errors import Refused
from keeper.model.refusal import RefusalCode
from keeper.protocols.curie.reads import FeedReading
from keeper.protocols.curie.state import CurieSource, Observations

_MOST = 1_800  # CumulativeTwap.MAX_OBSERVATION


def index_price(source: CurieSource, reading: FeedReading | None, known: Observations, interval: int, now: int) -> int:
    """`IPriceFeed.getPrice(interval)` in `source.decimals`, at `now` in seconds.

    Raises Refused: "unpriced" where it would revert, "unsupported" where its answer cannot be computed.
    """
    if source.problem:
        raise Refused(RefusalCode.UNSUPPORTED, source.problem)
    if reading is None:
        raise Refused(RefusalCode.UNSUPPORTED, "a price feed could not be read")
    if reading.through_uniswap:
        raise Refused(RefusalCode.UNSUPPORTED, "price feed not supported: it can switch to a Uniswap pool")
    price, time = latest(source, reading, now)
    if interval:
        price = _twap(reading, known, interval, price, time, now)
    return _scaled(price, source)


def latest(source: CurieSource, reading: FeedReading, now: int) -> tuple[int, int]:
    """(price, time) of the newest valid answer (`ChainlinkPriceFeedV3._getLatestOrCachedPrice`)."""
    cached = reading.last_price, reading.last_time
    if not reading.answered or (reading.last_time and reading.last_time == reading.updated_at):
        return cached
    frozen = (
        reading.decimals != source.feed_decimals
        or reading.round == 0
        or not max(reading.last_time, 1) <= reading.updated_at <= now
        or reading.answer <= 0
    )
    return cached if frozen else (reading.answer, reading.updated_at)


def _twap(reading: FeedReading, known: Observations, interval: int, price: int, time: int, now: int) -> int:
    """`CachedTwap._getCachedTwap`."""
    if now == reading.cached_at and interval == reading.cached_interval:
        return reading.cached
    if not known.times:
        if reading.newest or reading.last_time:
            raise Refused(RefusalCode.UNSUPPORTED, "a price feed has observations from before start_block")
        return price
    return _average(reading, known, interval, price, time, now) or price


def _average(reading: FeedReading, known: Observations, interval: int, price: int, time: int, now: int) -> int:
    """`CumulativeTwap._calculateTwap`; 0 where there is none."""
    newest, newest_price = known.times[-1], known.prices[-1]
    if (newest == time and price != newest_price) or time < newest or interval > now:
        raise Refused(RefusalCode.UNPRICED, "a price feed's answer does not fit the observations that it recorded")
    current = known.cumulatives[-1] + newest_price * (time - newest) + price * (now - time)
    target = now - interval
    if target < known.times[0]:
        # Only a contract whose oldest observation this is says that there is none.
        whole = known.count == reading.newest + 1 and known.times[0] == reading.first_at
        if not whole and len(known.times) < _MOST:
            raise Refused(RefusalCode.UNSUPPORTED, "a price feed has observations from before start_block")
        return 0
    change = current - _cumulative_at(known, target)
    if change < 0:  # a fall that nobody cached for longer than the interval: the contract reverts, too
        raise Refused(RefusalCode.UNPRICED, "a price feed recorded no observation since its price fell")
    return change // interval


def _cumulative_at(known: Observations, target: int) -> int:
    index = bisect_right(known.times, target) - 1
    before = known.cumulatives[index]
    if index + 1 == len(known.times):
        return before + known.prices[index] * (target - known.times[index])
    gap = known.times[index + 1] - known.times[index]
    return before + (known.cumulatives[index + 1] - before) * (target - known.times[index]) // gap


def _scaled(price: int, source: CurieSource) -> int:
    """A dispatcher answers in 18 decimals, whatever its feed's."""
    if not source.dispatched:
        return price
    return int(price * WAD // 10**source.feed_decimals)
