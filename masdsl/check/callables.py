"""Names that stand where something is called."""

from __future__ import annotations

from masdsl.check.builtins import BUILTINS
from masdsl.check.context import Frame
from masdsl.check.relations import show
from masdsl.check.scope import Names
from masdsl.diagnostics.names import NotCallable, UndefinedCallee
from masdsl.diagnostics.suggest import nearest
from masdsl.syntax import ast


def is_function(frame: Frame, name: str) -> bool:
    """Say whether a name is that of a pure function: a built-in one, or an extern of the standard library."""
    declared = frame.scope.names.get(name)
    return name in BUILTINS or (declared is not None and isinstance(declared.node, ast.Extern))


def report_uncallable(frame: Frame, names: Names, callee: ast.Name) -> None:
    """Report a name that is called but is nothing that can be."""
    name = callee.text
    if name in frame.scope.missing:
        return
    if name in names:
        frame.report(NotCallable(name, f"a value of type `{show(names[name])}`", span=callee.span))
        return
    callable_names = [
        known
        for known, found in frame.scope.names.items()
        if isinstance(found.node, ast.Agent | ast.Variant | ast.Tool | ast.Extern | ast.Flow)
    ]
    near = nearest(name, [*callable_names, *frame.callees, *BUILTINS])
    frame.report(UndefinedCallee(name, near, span=callee.span))
