"""What all tests share: how Hypothesis works here.

The same examples are tried in every run, so that a failure means a change; ``pytest
--hypothesis-profile=explore`` looks for new ones. No limits on time: other work on the machine is
not a defect.
"""

from __future__ import annotations

from hypothesis import HealthCheck, settings

settings.register_profile(
    "repeatable", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("explore", settings.get_profile("repeatable"), derandomize=False)
settings.load_profile("repeatable")
