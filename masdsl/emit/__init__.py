"""From what a program does to Python text, and the check that the text is nothing else."""

from __future__ import annotations

from masdsl.check.program import Program
from masdsl.emit.python import PyModule, emit
from masdsl.lower import lower
from masdsl.verify import VerificationError, verify


def build(program: Program, *, header: str = "", version: str = "") -> PyModule:
    """Return a checked program as a verified Python module; see `emit` for `header` and `version`."""
    module = emit(lower(program), header=header, version=version)
    verify(module.text)
    return module


__all__ = ["PyModule", "VerificationError", "build", "emit", "verify"]
