"""How properties are tested: by default with few examples, the same ones in each run, for that run is quick and guards merges.

HYPOTHESIS_PROFILE=thorough looks further: many examples, other ones each time.
"""

from __future__ import annotations

import os

from hypothesis import settings

settings.register_profile("quick", max_examples=25, deadline=None, database=None, derandomize=True)
settings.register_profile("thorough", max_examples=1000, deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "quick"))
