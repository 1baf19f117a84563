"""Lessons: a chapter played step by step, each step checked. See README.md in this folder."""
