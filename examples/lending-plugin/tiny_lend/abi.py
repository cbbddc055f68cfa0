"""The part of the contract's ABI that the adapter uses: `abi.json`, beside this file."""

import json
from importlib.resources import files

from keeper.abi import Contract

LEND = Contract(json.loads((files(__package__) / "abi.json").read_text()))
VIEWS = LEND.functions
EVENTS = LEND.events
