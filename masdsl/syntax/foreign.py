"""What people and models write who think in another language, and what to write instead."""

from __future__ import annotations

_LOOP = "write `loop 5 { ... until condition }`: a loop has a largest count"
_BIND = "bind a name with `name = ...` alone"
_WAIT = "leave it out: a step waits for what it needs"
_FALLBACK = "write `x = a(y) else b(y)`: the second is used where the first fails"
_SHOW = "leave it out: every step is recorded by its name"

STATEMENTS: dict[str, str] = {
    "while": _LOOP,
    "repeat": _LOOP,
    "do": _LOOP,
    "break": "write `until condition`, which leaves the loop when the condition holds",
    "continue": "put the rest of the loop's body into an `if`",
    "pass": "leave it out: a block may be empty",
    "let": _BIND,
    "var": _BIND,
    "const": _BIND,
    "val": _BIND,
    "global": _BIND,
    "nonlocal": _BIND,
    "await": _WAIT,
    "async": _WAIT,
    "parallel": "leave it out: steps that do not need each other run at the same time",
    "try": _FALLBACK,
    "except": _FALLBACK,
    "catch": _FALLBACK,
    "finally": _FALLBACK,
    "raise": "give the flow's output a default with `else`, and leave the step to fail",
    "throw": "give the flow's output a default with `else`, and leave the step to fail",
    "switch": "write `match x { word { ... } else { ... } }`",
    "case": "write the word alone: `match x { word { ... } }`",
    "default": "write `else { ... }`",
    "elif": "write `else if`",
    "elsif": "write `else if`",
    "elseif": "write `else if`",
    "assert": "write `expect condition`, in a test",
    "yield": "collect values with `results += [x]`",
    "print": _SHOW,
    "log": _SHOW,
    "echo": _SHOW,
    "call": "write `result = name(...)`",
    "foreach": "write `for x in xs { ... }`",
    "import": "write `use module` above the declarations",
    "def": "declare flows outside of each other, with `flow`",
    "function": "declare flows outside of each other, with `flow`",
    "emit": "write `return`",
    "output": "write `return`",
    "set": _BIND,
}
"""Words at the beginning of a statement."""

DROPPED = frozenset({"let", "var", "const", "val", "async", "break", "continue", "pass", "parallel"})
"""Those without which the statement is right."""

DECLARATIONS: dict[str, tuple[str, str]] = {
    "def": ("FLOW", "flow"),
    "fn": ("FLOW", "flow"),
    "func": ("FLOW", "flow"),
    "function": ("FLOW", "flow"),
    "workflow": ("FLOW", "flow"),
    "pipeline": ("FLOW", "flow"),
    "main": ("FLOW", "flow"),
    "task": ("FLOW", "flow"),
    "import": ("USE", "use"),
    "include": ("USE", "use"),
    "require": ("USE", "use"),
    "struct": ("TYPE", "type"),
    "record": ("TYPE", "type"),
    "class": ("TYPE", "type"),
    "enum": ("TYPE", "type"),
    "interface": ("TYPE", "type"),
    "schema": ("TYPE", "type"),
    "role": ("AGENT", "agent"),
    "model": ("AGENT", "agent"),
    "node": ("AGENT", "agent"),
    "extern": ("TOOL", "tool"),
    "limit": ("BUDGET", "budget"),
}
"""Words at the beginning of a declaration: the kind and the text of the right one."""

ATTRIBUTES: dict[str, tuple[str, str]] = {
    "temperature": ("TEMP", "temp"),
    "model": ("ON", "on"),
    "using": ("ON", "on"),
    "with": ("ON", "on"),
    "system": ("ROLE", "role"),
    "persona": ("ROLE", "role"),
    "max_tokens": ("MAX", "max"),
    "limit": ("MAX", "max"),
    "retries": ("RETRY", "retry"),
    "tries": ("RETRY", "retry"),
    "seconds": ("TIMEOUT", "timeout"),
    "max_steps": ("STEPS", "steps"),
    "source": ("FROM", "from"),
}
"""Words among the attributes of an agent or a tool: the kind and the text of the right one."""

OPERATORS: dict[str, str] = {
    "in": "write `contains(xs, x)`",
    "is": "write `==`",
    "for": "write `each x in xs: f(x)`, as a step of its own",
    "lambda": "there are no functions as values: write the expression itself",
    "then": "leave it out, and put the block between `{` and `}`",
    "do": "leave it out, and put the block between `{` and `}`",
    "new": "leave it out: `Review(ok: true)` makes a record",
    "return": "`else` and `=` want a value: move the `return` to a line of its own",
}
"""Words in the middle of a statement."""

VALUES = {"True": ("TRUE", "true"), "False": ("FALSE", "false"), "None": ("NONE", "none"), "Null": ("NONE", "none")}
"""Literals of other languages that are read as types' names here: kind and text of the right one."""
