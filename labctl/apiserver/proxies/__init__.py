"""The proxy subresources of pods, services and nodes: HTTP through the API server."""
