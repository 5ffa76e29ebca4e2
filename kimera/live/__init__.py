"""Statements one by one over a WebSocket, each checked against all before it: see docs/live.md."""
