"""The state of a lab: an append-only revision log, its present state, and watches. See README.md in this folder."""
