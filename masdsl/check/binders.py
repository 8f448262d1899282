"""Names that a body binds: whether they are free."""

from __future__ import annotations

from masdsl.check.builtins import BUILTINS
from masdsl.check.context import Frame
from masdsl.check.scope import Names
from masdsl.diagnostics.names import DuplicateName
from masdsl.syntax import ast


def check_free(frame: Frame, name: ast.Name) -> None:
    """Report a name that a declaration, a built-in function or a parameter of the flow has already."""
    if name.text in frame.scope.names:
        declared = frame.scope.names[name.text]
        frame.report(DuplicateName(name.text, declared.what, declared.at, span=name.span))
    elif name.text in BUILTINS:
        frame.report(DuplicateName(name.text, "a built-in function", None, span=name.span))
    elif name.text in frame.statics or name.text in frame.callees:
        frame.report(DuplicateName(name.text, "a parameter of the flow", None, span=name.span))


def check_scoped(frame: Frame, names: Names, name: ast.Name) -> None:
    """Check the name that `for` or `each` gives an item: it means something inside only, others may use it too."""
    at = names.bound_at(name.text)
    if at is not None:
        frame.report(DuplicateName(name.text, "a name that is bound here", at, span=name.span))
    else:
        check_free(frame, name)
