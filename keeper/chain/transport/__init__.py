"""How bytes travel to a node and back: HTTP with kept connections, WebSocket, IPC. Answers are matched by id only."""
