"""Tests of labctl.lab: what is decided before Docker is asked, and the words of what it answers."""
