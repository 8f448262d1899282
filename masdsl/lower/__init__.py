"""From checked programs to what generated code does: names, order, concurrency."""

from __future__ import annotations

from masdsl.lower.lower import lower

__all__ = ["lower"]
