"""How much debt to cover: enough for the target health, within the rules, the balance and the pools' liquidity."""

from keeper.defi.sizing import largest, smallest
from keeper.model.health import WAD
from keeper.protocols.aave_v3.simulate import Pair

# A whole debt grows until the block that executes: the offer for one is larger by a share, and takes no more.
_GROWTH = 2_000  # one part in so many: more than an hour at 400 % a year
_STEP_BITS = 24
_FALL_BPS = 500  # of a collateral's price, until then


def whole_offer(pair: Pair) -> int:
    """The offer that covers as much as the rules allow."""
    return pair.most + pair.most // _GROWTH + 1


def restoring(pair: Pair, target_wad: int) -> int:
    """The least debt to cover after which the target health is reached, in steps of a 2**24th of what may be covered;
    more than that when none is."""
    step = (pair.most >> _STEP_BITS) + 1

    def reached(steps: int) -> bool:
        made = pair.outcome(min(steps * step, pair.most), dust_allowed=True)
        return made is not None and pair.health_after(made).health_wad >= target_wad

    last = -(-pair.most // step)
    if not reached(last):
        return pair.most + 1
    return min((smallest(reached, _guess(pair, target_wad) // step + 1, last) or last) * step, pair.most)


def _guess(pair: Pair, target_wad: int) -> int:
    """Units of debt from the real-valued equation: with T the weighted collateral, D the debt, b the bonus, w the
    collateral's threshold and H the target, x covers enough when T - x b w = H (D - x)."""
    views = pair.before.views
    debt = int(views["totalDebtBase"])
    weighted = int(views["totalCollateralBase"]) * int(views["currentLiquidationThreshold"]) / 10_000
    threshold = pair.market.terms(pair.collateral, pair.holdings.category).threshold
    target = target_wad / WAD
    slope = target - pair.bonus * threshold / 10**8
    value = (target * debt - weighted) / slope if slope > 0 else 0.0
    return int(value * pair.units[1] / pair.prices[1])


def legal(pair: Pair, offer: int) -> int:
    """The largest offer up to this one that leaves no dust, even if prices fall by then; 0 when there is none."""
    for fall_bps in (_FALL_BPS, 0):
        if found := _leaving(pair, offer, fall_bps):
            return found
    return 0


def _leaving(pair: Pair, offer: int, fall_bps: int) -> int:
    covered, taken, _ = pair.amounts(offer)
    if not pair.leaves_dust(covered, taken, fall_bps):
        return offer
    return largest(lambda size: size == 0 or not pair.leaves_dust(*pair.amounts(size)[:2], fall_bps), offer)


def sizes(pair: Pair, needed: int, most: int) -> list[int]:
    """Offers to consider, none above `most`: `needed`, which restores the target, else the largest legal one.

    Where the rest would be dust the next larger step, everything, is listed beside the largest that leaves enough.
    """
    whole = whole_offer(pair)
    wanted = whole if needed >= pair.most else needed
    found = []
    if wanted <= most:
        if legal(pair, wanted) == wanted:
            return [wanted]
        if whole <= most and legal(pair, whole) == whole:
            found.append(whole)
    elif wanted == whole and pair.amounts(most) == pair.amounts(whole):
        return [most]  # as good: too little is left over for what the debt may grow
    found.append(legal(pair, min(wanted, most)))
    return [offer for offer in found if offer]
