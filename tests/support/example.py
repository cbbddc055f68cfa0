"""The example of a plug-in, from the checkout: its market on a node, and its adapter."""

import importlib.util
import os
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from keeper.sim.node.anvil import Anvil

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "lending-plugin"
SOLC = str(ROOT / "tools" / "solc.mjs")  # the compiler that npm brought, for the example's tests


def bench_on(anvil: Anvil) -> Any:
    """The `Bench` of the example's own tests, deployed on a node that mines each transaction at once."""
    os.environ.setdefault("SOLC", SOLC)
    return _conftest().Bench.on(anvil)


def tiny_lend() -> Any:
    """The adapter's class, not installed."""
    if str(EXAMPLE) not in sys.path:
        sys.path.append(str(EXAMPLE))
    return importlib.import_module("tiny_lend.adapter").TinyLendProtocol


def _conftest() -> ModuleType:
    name = "tiny_lend_bench"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, EXAMPLE / "tests" / "conftest.py")
        assert spec
        assert spec.loader
        sys.modules[name] = module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    return sys.modules[name]
