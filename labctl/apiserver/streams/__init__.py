"""Streams into pods: logs over HTTP, exec and attach over WebSocket."""
