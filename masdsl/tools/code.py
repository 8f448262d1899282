"""Python that a model wrote, run in the sandbox (`masdsl.sandbox`)."""

from __future__ import annotations

from typing import Final

LONGEST_SECONDS: Final = 10.0
"""A program is stopped after so many seconds, or after the tool's own `timeout`, if that is shorter."""
_MARGIN: Final = 0.5  # of the tool's time is kept to tell what happened
