"""JSON-RPC over HTTP, WebSocket and IPC. Answers are matched to requests by id only."""
