"""Asks a rollup's own contract what publishing a transaction on L1 costs.

Which contract there is, is found out once at the start; from then on its prices are read in each block's bulk read.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from eth_abi.exceptions import DecodingError

from keeper.abi import load_abi
from keeper.chain.ports import ChainReader
from keeper.model.chain import Call, CallResult
from keeper.model.data_fees import NO_DATA_FEES, PER_GAS, DataFees

GAS_PRICE_ORACLE = bytes.fromhex("420000000000000000000000000000000000000f")
ARB_GAS_INFO = bytes.fromhex("000000000000000000000000000000000000006c")

_ORACLE = load_abi("IGasPriceOracle").functions
_ARBITRUM = load_abi("IArbGasInfo").functions["getPricesInWei"]
_SIGNATURE = 68  # bytes that GasPriceOracle adds to an unsigned transaction
_SIZES = (0, 10_000, 1_000_000)  # far apart, so that the line through the last two is exact
_SAMPLES = (b"", b"\xff" * 1_000, b"\xff" * 2_000)  # before Fjord by the gas of calldata, which no byte costs more of


@dataclass(frozen=True, slots=True)
class DataFeeOracle:
    """Calls for one bulk read, and what their answers mean: None where they are none of such a contract's."""

    calls: tuple[Call, ...] = ()
    decode: Callable[[Sequence[CallResult]], DataFees | None] = lambda _: NO_DATA_FEES


def _asked(name: str, argument: bytes | int) -> Call:
    return Call(GAS_PRICE_ORACLE, _ORACLE[name].encode(argument))


_OPERATOR = (_asked("getOperatorFee", 0), _asked("getOperatorFee", PER_GAS))


def _fjord(results: Sequence[CallResult]) -> DataFees | None:
    """`getL1FeeUpperBound` takes (n + 68) + (n + 68) / 255 + 16 for the compressed size."""
    return _op_stack(results, [size + _SIGNATURE + (size + _SIGNATURE) // 255 + 16 for size in _SIZES])


def _before_fjord(results: Sequence[CallResult]) -> DataFees | None:
    return _op_stack(results, [len(sample) + _SIGNATURE for sample in _SAMPLES])


def _op_stack(results: Sequence[CallResult], sizes: Sequence[int]) -> DataFees | None:
    fees = [_number(result) for result in results]
    least, small, large, constant, per_gas = fees
    if least is None or small is None or large is None or not least <= small <= large:
        return None
    operator = (0, 0) if constant is None or per_gas is None else (constant, per_gas)  # there is none before Isthmus
    return DataFees(least, (sizes[1], small), (sizes[2], large), operator)


def _arbitrum(results: Sequence[CallResult]) -> DataFees | None:
    try:
        prices = _ARBITRUM.decode(results[0].data) if results[0].ok else ()
    except DecodingError:
        return None
    return DataFees(byte_price=prices[1], gas_price=prices[5]) if prices and prices[5] else None


def _number(result: CallResult) -> int | None:
    return int.from_bytes(result.data, "big") if result.ok and len(result.data) == 32 else None


NO_ORACLE = DataFeeOracle()
_KINDS = (
    DataFeeOracle((*(_asked("getL1FeeUpperBound", size) for size in _SIZES), *_OPERATOR), _fjord),
    DataFeeOracle((*(_asked("getL1Fee", sample) for sample in _SAMPLES), *_OPERATOR), _before_fjord),
    DataFeeOracle((Call(ARB_GAS_INFO, _ARBITRUM.encode()),), _arbitrum),
)


async def find_oracle(reader: ChainReader) -> tuple[DataFeeOracle, DataFees]:
    """The chain's oracle by whether it answers, and its prices now; one that charges nothing where there is none.

    Raises Transient when no node answers.
    """
    head = await reader.head()
    results = iter(await reader.read(head, [call for kind in _KINDS for call in kind.calls]))
    found = [(kind, kind.decode([next(results) for _ in kind.calls])) for kind in _KINDS]
    return next(((kind, fees) for kind, fees in found if fees is not None), (NO_ORACLE, NO_DATA_FEES))
