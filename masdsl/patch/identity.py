"""Which program a patch was written for.

The name of a program in `patch 1 on "..."` is the hash of its canonical text without comments. So layout, comments and
the order of attributes do not count. The names of locals do, unlike in `syntax.canonical`: addresses are made of them.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Final

from masdsl.syntax import ast
from masdsl.syntax.print import print_program

LEAST_DIGITS: Final = 4
"""A prefix of the hash may stand for it, if it is at least so long."""
SHOWN_DIGITS: Final = 12
"""As long is the prefix that `diff` writes."""


def base_of(program: ast.Program) -> str:
    """Return the hash that patches for this program may name: 64 hexadecimal digits."""
    return sha256(print_program(program).encode()).hexdigest()


def short_base(program: ast.Program) -> ast.StrLit:
    """Return what `diff` writes behind `on`."""
    return ast.StrLit(base_of(program)[:SHOWN_DIGITS])


def is_for(base: str, program: ast.Program) -> bool:
    """Whether a base that a patch names is this program."""
    wanted = base.strip().lower()
    return len(wanted) >= LEAST_DIGITS and base_of(program).startswith(wanted)
