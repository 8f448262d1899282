"""masdsl: a language for multi-agent systems. Programs are bounded before they run and compile to readable Python.

    import masdsl

    program = masdsl.load("debate.mas")
    answer = await program.main(question="...")  # or program.main.sync(question="...")

Importing this package loads next to nothing; each name below loads what it needs when it is first used.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from masdsl.api import apply as apply
    from masdsl.api import bind as bind
    from masdsl.api import build as build
    from masdsl.api import check as check
    from masdsl.api import compose as compose
    from masdsl.api import design as design
    from masdsl.api import diff as diff
    from masdsl.api import evaluate as evaluate
    from masdsl.api import format as format
    from masdsl.api import invert as invert
    from masdsl.api import load as load
    from masdsl.api import merge as merge
    from masdsl.api import run as run
    from masdsl.api import solve as solve
    from masdsl.config import Config as Config
    from masdsl.config import ModelConfig as ModelConfig
    from masdsl.diagnostics.base import Diagnostic as Diagnostic
    from masdsl.diagnostics.base import Finding as Finding
    from masdsl.diagnostics.base import Fix as Fix
    from masdsl.diagnostics.base import Label as Label
    from masdsl.diagnostics.catalogue import UnknownCode as UnknownCode
    from masdsl.diagnostics.catalogue import explain as explain
    from masdsl.diagnostics.render import render_json as render_json
    from masdsl.diagnostics.render import render_short as render_short
    from masdsl.diagnostics.render import render_text as render_text
    from masdsl.loaded import LoadedFlow as LoadedFlow
    from masdsl.loaded import LoadedProgram as LoadedProgram
    from masdsl.loaded import ProgramError as ProgramError
    from masdsl.node import Span as Span
    from masdsl.source import Source as Source
    from masdsl.version import __version__ as __version__

_HOMES = {
    "Config": "config",
    "Diagnostic": "diagnostics.base",
    "Finding": "diagnostics.base",
    "Fix": "diagnostics.base",
    "Label": "diagnostics.base",
    "LoadedFlow": "loaded",
    "LoadedProgram": "loaded",
    "ModelConfig": "config",
    "ProgramError": "loaded",
    "Source": "source",
    "Span": "node",
    "UnknownCode": "diagnostics.catalogue",
    "__version__": "version",
    "apply": "api",
    "bind": "api",
    "build": "api",
    "check": "api",
    "compose": "api",
    "design": "api",
    "diff": "api",
    "evaluate": "api",
    "explain": "diagnostics.catalogue",
    "format": "api",
    "invert": "api",
    "load": "api",
    "merge": "api",
    "render_json": "diagnostics.render",
    "render_short": "diagnostics.render",
    "render_text": "diagnostics.render",
    "run": "api",
    "solve": "api",
}

__all__ = [*_HOMES]


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'masdsl' has no attribute {name!r}")
    from importlib import import_module

    value = globals()[name] = getattr(import_module(f"masdsl.{home}"), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})


class _Package(ModuleType):
    """The package itself. `masdsl.check` is the function, although a folder of the package has that name too: importing
    the folder would put the module in the function's place.
    """

    def __setattr__(self, name: str, value: object) -> None:
        if not (name in _HOMES and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
