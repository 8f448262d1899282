"""Where the steps of a run are after a patch: the addresses that have changed, new to old (`masdsl/patch/sites.py`).

What is dropped here and written anew there is another statement; it may still claim what it finds in the journal with
the same inputs and declaration.
"""

from __future__ import annotations

from masdsl.patch.sites import moved
from masdsl.syntax import ast


def aliases_of(patch: ast.Patch, program: ast.Program, entry: str) -> dict[str, str]:
    """Return, for the addresses that steps of the flow `entry` have after a patch, those that they had before.

    Steps of called flows are found through the step that calls them, so only the entry's own statements have aliases.
    """
    return {new: old for new, old in sorted(moved(patch, program).items()) if new.startswith(f"{entry}.")}
