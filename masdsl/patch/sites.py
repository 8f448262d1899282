"""Where the steps of a program are after a patch: what a run that goes on with the patched program has to know.

An address is the same step before and after a patch, unless the patch says otherwise: by `rename`, by `wrap`, or by
dropping or inserting something that numbers others (`loop_2`, `else_2`).
"""

from __future__ import annotations

from collections.abc import Iterator

from masdsl.node import Node
from masdsl.patch.apply import edit_tree
from masdsl.patch.places import dotted, numbered, options_of, statements_of
from masdsl.patch.tree import Tree
from masdsl.syntax import ast
from masdsl.syntax.comments import key


def moved(patch: ast.Patch, program: ast.Program) -> dict[str, str]:
    """Return the old address of every step that a patch has given another one, by the new address.

    Addresses are seen from the flow that has the step, as in `main.refine.code`. Raises PatchRefused.
    """
    tree = Tree(program)
    tree.sites.update((key(node), address) for address, node in _steps(program))
    edit_tree(patch, tree)
    return {
        address: tree.sites[key(node)]
        for address, node in _steps(tree.program)
        if tree.sites.get(key(node), address) != address
    }


def redone(patch: ast.Patch) -> tuple[str, ...]:
    """Return the addresses that a patch asks to run again, in its order, as they are where the edit stands."""
    return tuple([dotted(edit.path) for edit in patch.edits if isinstance(edit, ast.RedoEdit)])


def _steps(program: ast.Program) -> Iterator[tuple[str, Node]]:
    """Yield every statement and every option of a statement with its address, the statement last."""
    for item in program.items:
        if not isinstance(item, ast.Flow):
            continue
        for inner, node in statements_of(item):
            address = f"{item.name.text}.{inner}"
            if isinstance(node, ast.Bind | ast.Return):
                for number, option in enumerate(options_of(node.value)[1:], 1):
                    yield f"{address}.{numbered('else', number)}", option
            yield address, node
