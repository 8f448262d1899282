"""The names that users may rely on. Adding one is a decision; so is taking one away."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

PUBLIC = {
    "masdsl": [
        "Config",
        "Diagnostic",
        "Finding",
        "Fix",
        "Label",
        "LoadedFlow",
        "LoadedProgram",
        "ModelConfig",
        "ProgramError",
        "Source",
        "Span",
        "UnknownCode",
        "__version__",
        "apply",
        "bind",
        "build",
        "check",
        "compose",
        "design",
        "diff",
        "evaluate",
        "explain",
        "format",
        "invert",
        "load",
        "merge",
        "render_json",
        "render_short",
        "render_text",
        "run",
        "solve",
    ],
    # What compiled programs import: the first part for people too, the functions are the language's operators and
    # built-ins.
    "masdsl.runtime": [
        "Agent",
        "Alias",
        "BudgetExceeded",
        "BudgetRefused",
        "Enum",
        "Event",
        "Failure",
        "FinishedStep",
        "InputError",
        "Items",
        "Limits",
        "Measures",
        "Model",
        "NotInJournal",
        "Program",
        "RawReply",
        "Record",
        "Result",
        "Run",
        "RunFailed",
        "RunStopped",
        "ShapeError",
        "Started",
        "State",
        "StepFailed",
        "Tokens",
        "Tool",
        "abs_",
        "all_",
        "any_",
        "contains",
        "count",
        "divide",
        "ends_with",
        "first",
        "float_",
        "floor",
        "flow",
        "int_",
        "item",
        "join",
        "last",
        "len_",
        "lines",
        "lower",
        "majority",
        "max_",
        "min_",
        "minus",
        "mod",
        "negative",
        "number",
        "otherwise",
        "plus",
        "present",
        "range_",
        "reverse",
        "round_",
        "slice_",
        "sort",
        "split",
        "starts_with",
        "sum_",
        "text",
        "times",
        "trim",
        "unique",
        "upper",
    ],
}


@pytest.mark.parametrize("module", PUBLIC)
def test_public_names(module: str) -> None:
    exported = import_module(module).__all__
    assert sorted(exported) == sorted(PUBLIC[module])
    assert len(exported) == len(set(exported))


@pytest.mark.parametrize("module", PUBLIC)
def test_public_names_exist_and_say_what_they_are(module: str) -> None:
    home = import_module(module)
    for name in home.__all__:
        value = getattr(home, name)
        if callable(value) and getattr(value, "__module__", "").startswith("masdsl"):
            assert value.__doc__, f"{module}.{name} has no docstring"


def test_the_package_is_typed_for_its_users() -> None:
    assert (ROOT / "masdsl" / "py.typed").exists()


def test_type_checkers_see_the_lazy_names() -> None:
    """`__getattr__` hides names from type checkers; the imports under TYPE_CHECKING show them again."""
    text = (ROOT / "masdsl" / "__init__.py").read_text(encoding="utf-8")
    for name in PUBLIC["masdsl"]:
        assert name == "__version__" or f" import {name} as {name}\n" in text


def test_every_module_can_be_imported_alone() -> None:
    """No import works only because another one came first."""
    modules = [
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        for path in sorted((ROOT / "masdsl").rglob("*.py"))
        if path.name != "__main__.py"
    ]
    code = """
import importlib, os, sys
for name in sys.argv[1:]:
    if os.fork() == 0:
        try:
            importlib.import_module(name)
        except BaseException as error:
            print(name, type(error).__name__, error, flush=True)
        os._exit(0)
    os.wait()
"""
    done = subprocess.run(
        [sys.executable, "-c", code, *modules], capture_output=True, text=True, cwd=ROOT, check=False, timeout=280
    )
    assert done.stdout + done.stderr == ""
