"""The protocol's contracts, found from ClearingHouse alone."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

from keeper.abi import checksum, load_abi
from keeper.defi import chainlink, erc20
from keeper.errors import OperatorError
from keeper.model.chain import Call, CallResult, storage_read

CORE = load_abi("ICurie").functions
_SETTING = "KEEPER_DEPLOYMENT"
_GETTERS = {  # field -> (asked of which field's contract, getter)
    "vault": ("clearing_house", "getVault"),
    "exchange": ("clearing_house", "getExchange"),
    "order_book": ("clearing_house", "getOrderBook"),
    "account_balance": ("clearing_house", "getAccountBalance"),
    "insurance_fund": ("clearing_house", "getInsuranceFund"),
    "config": ("clearing_house", "getClearingHouseConfig"),
    "quote": ("clearing_house", "getQuoteToken"),
    "factory": ("clearing_house", "getUniswapV3Factory"),
    "collateral_manager": ("vault", "getCollateralManager"),
    "settlement": ("vault", "getSettlementToken"),
    "registry": ("exchange", "getMarketRegistry"),
}
# (contract, slot, whose address must be there): storage is read at these places only if these are as in version 2.8.4.
_LAYOUT = (
    ("exchange", 206, "account_balance"),
    ("exchange", 207, "config"),
    ("order_book", 205, "exchange"),
    ("account_balance", 155, "order_book"),
    ("account_balance", 156, "vault"),
    ("vault", 307, "insurance_fund"),
    ("vault", 312, "collateral_manager"),
    ("collateral_manager", 204, "config"),
)
_VERSION_VIEWS = (("config", "getMarkPriceConfig", 64), ("config", "getMmRatio", 32), ("vault", "decimals", 32))
_ADDRESS = (1 << 160) - 1


@dataclass(frozen=True, slots=True)
class Contracts:
    """Addresses. Those of the second group are empty until they are discovered."""

    clearing_house: bytes
    vault: bytes = b""
    exchange: bytes = b""
    order_book: bytes = b""
    account_balance: bytes = b""
    insurance_fund: bytes = b""
    config: bytes = b""
    quote: bytes = b""
    factory: bytes = b""
    collateral_manager: bytes = b""
    settlement: bytes = b""
    registry: bytes = b""
    decimals: int = -1  # of the settlement token, as the Vault knows them
    symbol: str = ""  # of the settlement token

    @property
    def unit(self) -> int:
        """1e18 dollars for one unit of the settlement token."""
        return int(10 ** (18 - self.decimals))

    def discovery(self) -> list[Call]:
        """The calls of the next round: getters of known contracts, then reads that prove the version."""
        if asked := self._unknown():
            return [Call(getattr(self, holder), CORE[getter].encode()) for holder, getter in asked.values()]
        if self.decimals >= 0:
            return []
        layout = [storage_read(getattr(self, holder), [slot]) for holder, slot, _ in _LAYOUT]
        views = [Call(getattr(self, holder), CORE[name].encode()) for holder, name, _ in _VERSION_VIEWS]
        return [*layout, *views, erc20.symbol(self.settlement)]

    def discovered(self, results: Sequence[CallResult]) -> Self:
        """Raises OperatorError when this is not a ClearingHouse of version 2.8.4."""
        if asked := self._unknown():
            found: dict[str, Any] = {}
            for (name, (_, getter)), result in zip(asked.items(), results, strict=True):
                if (address := chainlink.address_of(result)) is None:
                    raise self._mistaken(f"{getter} gives no address")
                found[name] = address
            return replace(self, **found)
        stored, views = results[: len(_LAYOUT)], results[len(_LAYOUT) : -1]
        for (holder, slot, wanted), result in zip(_LAYOUT, stored, strict=True):
            if int.from_bytes(result.data[-32:], "big") & _ADDRESS != int.from_bytes(getattr(self, wanted), "big"):
                raise self._mistaken(f"slot {slot} of {holder} does not hold {wanted}")
        for (_, name, size), result in zip(_VERSION_VIEWS, views, strict=True):
            if not result.ok or len(result.data) != size:
                raise self._mistaken(f"{name} is missing")
        return replace(self, decimals=int.from_bytes(views[-1].data, "big"), symbol=erc20.symbol_of(results[-1]))

    def _unknown(self) -> dict[str, tuple[str, str]]:
        return {name: by for name, by in _GETTERS.items() if not getattr(self, name) and getattr(self, by[0])}

    def _mistaken(self, problem: str) -> OperatorError:
        where = checksum(self.clearing_house)
        return OperatorError(f"{_SETTING}: ClearingHouse {where} is not Perpetual Protocol v2.8.4 ({problem})")
