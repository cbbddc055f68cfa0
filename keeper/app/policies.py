"""The settings as the policies of the stages: one page on which every unit is converted."""

from collections.abc import Iterable
from fractions import Fraction

from keeper.execute.breakers.breakers import BreakerLimits
from keeper.execute.tx.routing import RelayPolicy
from keeper.model.health import WAD
from keeper.model.intent import Route
from keeper.model.limits import TradeLimits
from keeper.model.plan import Policy
from keeper.risk.native_price import NativePrice
from keeper.risk.price_guard import GuardPolicy
from keeper.settings import Settings


def guard_policy(settings: Settings) -> GuardPolicy:
    """The settings in the units of the guard."""
    feed = settings.sequencer_feed
    return GuardPolicy(
        references={label: bytes.fromhex(address[2:]) for label, address in settings.reference_feeds.items()},
        max_deviation=Fraction(settings.max_price_deviation),
        follow_deviating=settings.deviation_policy == "follow",
        max_age_s=settings.max_price_age_s,
        follow_old=settings.price_policy == "follow",
        sequencer=bytes.fromhex(feed[2:]) if feed else None,
        grace_s=settings.sequencer_grace_s,
    )


GWEI = 10**9


def policy_of(settings: Settings) -> Policy:
    """The operator's choices in the units of the stages."""
    return Policy(
        target_wad=int(settings.target_health * WAD),
        min_profit_wad=int(settings.min_profit_usd * WAD),
        bad_debt_weight=float(settings.bad_debt_weight),
        max_fee=int(settings.max_fee_gwei * GWEI),
        priority_fee=int(settings.priority_fee_gwei * GWEI),
        deadline_blocks=settings.deadline_blocks,
        max_in_flight=settings.max_in_flight,
        max_batch=settings.max_batch,
        gas_share=float(settings.gas_share),
        base_fee_denominator=settings.base_fee_denominator,
        base_fee_elasticity=settings.base_fee_elasticity,
        cooldown_blocks=settings.cooldown_blocks,
        max_slip=Fraction(settings.max_slip),
    )


def native_price_of(settings: Settings) -> NativePrice:
    """How the settings price the native coin."""
    fixed = settings.native_price_usd
    return NativePrice(settings.native_symbol, None if fixed is None else int(fixed * WAD))


def limits_of(settings: Settings) -> BreakerLimits:
    """What opens the breakers, in the units of the stages."""
    loss, gas = settings.max_loss_usd_day, settings.max_gas_usd_hour
    return BreakerLimits(
        settings.max_reverts,
        settings.breaker_reset_blocks,
        None if loss is None else int(loss * WAD),
        None if gas is None else int(gas * WAD),
    )


def trade_limits_of(settings: Settings) -> TradeLimits:
    """What may be traded. Assets are named by address, or by a market's name."""
    single, block = settings.max_notional_usd, settings.max_notional_usd_block
    return TradeLimits(
        notional_wad=None if single is None else int(single * WAD),
        notional_block_wad=None if block is None else int(block * WAD),
        messages_block=settings.max_messages_block,
        only_accounts=_addresses(settings.allow_accounts),
        denied_accounts=_addresses(settings.deny_accounts),
        only_assets=_assets(settings.allow_assets),
        denied_assets=_assets(settings.deny_assets),
    )


def _addresses(texts: Iterable[str]) -> frozenset[bytes]:
    return frozenset(bytes.fromhex(text[2:]) for text in texts)


def _assets(names: Iterable[str]) -> frozenset[str]:
    return frozenset(name.lower() if name.startswith("0x") else name for name in names)


def relay_policy_of(settings: Settings) -> RelayPolicy:
    """How plans travel privately, where relays are set."""
    return RelayPolicy(
        Route(settings.relay_mode),
        settings.relay_blocks,
        settings.relay_fallback == "public",
        int(settings.relay_min_usd * WAD),
    )
