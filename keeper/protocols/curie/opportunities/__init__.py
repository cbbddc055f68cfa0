"""Legal liquidations of one account: slices of its positions, and its collaterals."""

from keeper.errors import Refused
from keeper.model.plan import Opportunity
from keeper.protocols.curie.opportunities import collateral, position
from keeper.protocols.curie.query import CurieQuery


def find(query: CurieQuery) -> list[Opportunity]:
    """Those of its positions first. Raises Refused when there is none and some are refused."""
    found: list[Opportunity] = []
    refusals = []
    for kind in (position, collateral):
        try:
            found += kind.find(query)
        except Refused as refusal:
            refusals.append(refusal)
    if refusals and not found:
        raise refusals[0]
    return found
