"""What publishing its calldata on L1 adds to an opportunity: wei beside its gas, or more gas, by the chain."""

from dataclasses import dataclass, replace

from keeper.model.plan import Opportunity
from keeper.protocols.base import Protocol, Snapshot
from keeper.protocols.deadline import encode_until


@dataclass(frozen=True, slots=True)
class DataCost:
    """Wei beside the gas: what is expected, and what the signer has to hold."""

    expected: int = 0
    most: int = 0


NO_DATA_COST = DataCost()


class DataCosts:
    """One block's. Calldata of one kind and subject is made once: only its length and its pattern matter."""

    def __init__(self, protocol: Protocol, snapshot: Snapshot) -> None:
        self._protocol = protocol
        self._snapshot = snapshot
        self._samples: dict[tuple[str, str], bytes] = {}

    def of(self, opportunity: Opportunity) -> tuple[Opportunity, DataCost]:
        """The opportunity with the gas that its data takes, and what its data costs beside gas.

        Raises Refused where the adapter refuses to encode it.
        """
        fees = self._snapshot.data_fees
        if not fees.charged:
            return opportunity, NO_DATA_COST
        data = self._sample(opportunity)
        gas = opportunity.gas + fees.expected_gas(data)
        gas_limit = opportunity.gas_limit + fees.most_gas(len(data))
        cost = DataCost(fees.expected(data, gas), fees.most(len(data), gas_limit))
        return replace(opportunity, gas=gas, gas_limit=gas_limit), cost

    def _sample(self, opportunity: Opportunity) -> bytes:
        key = opportunity.kind, opportunity.subject
        if key not in self._samples:
            timestamp = self._snapshot.block.timestamp
            self._samples[key] = encode_until(self._protocol, self._snapshot, opportunity, 0, timestamp).data
        return self._samples[key]
