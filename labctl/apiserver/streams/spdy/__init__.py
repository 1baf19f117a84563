"""SPDY/3.1 as client-go speaks it: frames, their codec, a session without I/O, and a connection of streams."""
