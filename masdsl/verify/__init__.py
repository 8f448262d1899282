"""Whether a Python text is generated code and nothing else, decided without knowing how code is generated.

Generated Python is run in the host's process. Nothing that a program says can get into it but as a constant, and this
is the second wall behind that promise, and the first in front of a file that somebody else has edited: every text is
parsed and compared with a narrow description of what generated code can be. What is not named here is refused.

- A module is a docstring, imports of known names from `typing` and `masdsl.runtime`, classes of fields or of words,
  agents, tools, async functions, the program, and the guard that runs it. Whatever is used stands further up, so that
  nothing can call itself.
- A function talks to frames (`run.call("step", agent, ...)`), computes with the runtime's functions, and reads fields
  that the module's own classes declare. It calls nothing else, sees only its own names, and loops only where a frame
  counts the rounds.
- Outside of its constants the text is ASCII, and its comments are marks.

Trees are walked without recursion, after their depth has been limited.
"""

from __future__ import annotations

import ast

from masdsl.verify.forms import VerificationError, parse
from masdsl.verify.module import check_module


def verify(text: str) -> ast.Module:
    """Return the syntax tree of a module that is generated code; raise VerificationError for any other text."""
    tree = parse(text)
    check_module(tree)
    return tree


__all__ = ["VerificationError", "verify"]
