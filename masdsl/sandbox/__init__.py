"""Runs Python that a model has written, so that it can compute and do nothing else.

`run_python` runs a program in the strongest tier that works here, and refuses where none does: bubblewrap around the
lockdown, the lockdown alone (Landlock, seccomp and limits, `inside/lockdown.py`), monty (an interpreter of its own,
extra `code`). Every tier proves itself by a self-test first (`ladder.py`). What it protects from, and from what not, is
said in `docs/security.md`.
"""

from __future__ import annotations

from masdsl.sandbox.ladder import Rung as Rung
from masdsl.sandbox.ladder import ladder as ladder
from masdsl.sandbox.ladder import tier as tier
from masdsl.sandbox.result import KINDS as KINDS
from masdsl.sandbox.result import Failure as Failure
from masdsl.sandbox.result import Limits as Limits
from masdsl.sandbox.result import Result as Result
from masdsl.sandbox.result import SandboxRefused as SandboxRefused
from masdsl.sandbox.run import run_python as run_python
from masdsl.sandbox.run import run_python_sync as run_python_sync
from masdsl.sandbox.start import TIERS as TIERS
