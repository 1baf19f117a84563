"""Many Services that nobody needs, to see what their number costs. See README.md in this folder."""
