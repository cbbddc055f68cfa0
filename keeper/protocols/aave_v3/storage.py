"""Where the pool and its tokens store what is read raw.

The slots follow from `PoolStorage.sol`, `DataTypes.sol` and `IncentivizedERC20.sol` of @aave/core-v3 1.19.3 (3.0.2) and
@aave-dao/aave-v3-origin 3.6.0, behind the 52 slots of `VersionedInitializable`; they are compared with the contracts'
own views in the tests.
"""

from dataclasses import dataclass

from keeper.defi.proxies import bits, mapping_slot

# PoolStorage
RESERVES, USERS, RESERVES_LIST, CATEGORIES, USER_CATEGORIES = 52, 53, 54, 55, 56
FLASH_PREMIUM = 58
RESERVE_SLOTS = 9  # of `ReserveData` that are read: configuration to accruedToTreasury
CATEGORY_SLOTS = 3
MOST_CATEGORIES = 255
# tokens
SUPPLY_STATE = 52  # `_userState` of aTokens
DEBT_STATE = 56  # of debt tokens, behind EIP712Base and DebtTokenBase
STABLE_TIMES = 62  # `_timestamps` of stable debt tokens

UINT40 = 40


@dataclass(frozen=True, slots=True)
class Configuration:
    """A reserve's configuration word (ReserveConfiguration.sol). Ratios in bps."""

    word: int

    @property
    def ltv(self) -> int:
        return bits(self.word, 0, 16)

    @property
    def threshold(self) -> int:
        return bits(self.word, 16, 16)

    @property
    def bonus(self) -> int:
        return bits(self.word, 32, 16)

    @property
    def unit(self) -> int:
        return int(10 ** bits(self.word, 48, 8))

    @property
    def active(self) -> bool:
        return bool(bits(self.word, 56, 1))

    @property
    def paused(self) -> bool:
        return bool(bits(self.word, 60, 1))

    @property
    def flash_loans(self) -> bool:
        return bool(bits(self.word, 63, 1))

    @property
    def protocol_fee(self) -> int:
        return bits(self.word, 152, 16)

    @property
    def category(self) -> int:
        """The eMode category that a reserve of 3.0.2 belongs to."""
        return bits(self.word, 168, 8)


def reserve_slots(asset: bytes) -> range:
    """Of a reserve's `ReserveData` in the pool."""
    first = mapping_slot(RESERVES, asset)
    return range(first, first + RESERVE_SLOTS)


def category_slots(category: int) -> range:
    first = mapping_slot(CATEGORIES, category)
    return range(first, first + CATEGORY_SLOTS)


def address_at(word: int) -> bytes:
    """The address in the lowest 160 bits."""
    return bits(word, 0, 160).to_bytes(20, "big")
