"""The first settings: which chain, which protocol."""

from pathlib import Path

from pydantic_settings import BaseSettings, SettingsConfigDict

from keeper.settings.types import NodeUrls, setting

PREFIX = "KEEPER_"


class ChainSettings(BaseSettings):
    """What `Settings` begins with. Groups and order are those of `.env.example`."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_file=None, extra="forbid", frozen=True, hide_input_in_errors=True
    )

    rpc_urls: NodeUrls = setting(
        ..., "Chain", "Comma-separated http(s), ws(s) URLs or IPC paths of nodes, in order of preference", min_length=1
    )
    chain_id: int = setting(..., "Chain", "Chain id; a node with another one is refused", gt=0)
    poll_interval_s: float = setting(
        1.0, "Chain", "Seconds between polls for a new block where no WebSocket or IPC endpoint is given", gt=0, le=60
    )
    request_timeout_s: float = setting(5.0, "Chain", "Timeout of a request, in seconds", gt=0, le=120)
    max_lag_blocks: int = setting(
        3,
        "Chain",
        "Blocks that a node may be behind the newest head; beyond, other nodes are asked first",
        ge=0,
        le=1000,
    )

    protocol: str = setting(
        ...,
        "Protocol",
        "margin_engine, curie, aave_v3 (docs/protocols.md), or the name of an installed plug-in",
        min_length=1,
    )
    deployment: Path = setting(
        ..., "Protocol", "Path of the deployment file; docs/protocols.md says which addresses it needs"
    )
