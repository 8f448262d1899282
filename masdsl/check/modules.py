"""Loading what a program imports: `use std.vote`, `use helpers: a, B as C`.

Reading is the caller's business (`ModuleReader`), so that checking touches no disk of its own. Module names are grammar
tokens: they cannot hold a slash, a dot-dot or a drive.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final

from masdsl import resources
from masdsl.check.builtins import BUILTINS
from masdsl.check.scope import Declared, ModuleScope
from masdsl.diagnostics.base import Findings
from masdsl.diagnostics.names import DuplicateName, ExternOutsideStd, ImportCycle, ModuleNotFound, NotInModule
from masdsl.diagnostics.suggest import nearest
from masdsl.limits import IMPORT_DEPTH, MODULES
from masdsl.node import Span
from masdsl.source import Source
from masdsl.syntax import ast
from masdsl.syntax.parse import Parsed, parse_program

ModuleReader = Callable[[Source, tuple[str, ...], Findings], Source | str]
"""(importing source, path) -> the module's source, or the reason why there is none."""
STANDARD: Final = "std."
"""What the names of the standard library's modules begin with."""


class ModuleLoader:
    """Builds the scopes of a program's module and of all that it imports, each once."""

    def __init__(self, read_module: ModuleReader, findings: Findings) -> None:
        self._read = read_module
        self._findings = findings
        self._loaded: dict[str, ModuleScope] = {}
        self._loading: list[str] = []

    def scope(self, parsed: Parsed, name: str = "") -> ModuleScope:
        """Return the scope of a parsed module; faults of its imports are reported at their `use`."""
        document = parsed.document
        assert isinstance(document, ast.Program)
        scope = ModuleScope(name, parsed.source, document.items, parsed.comments)
        scope.missing.update(parsed.lost)
        scope.gaps = parsed.gaps
        is_standard = name.startswith(STANDARD) or resources.is_standard(parsed.source.name)
        self._loading.append(parsed.source.name)
        for item in document.items:
            if isinstance(item, ast.Use):
                self._import(scope, item)
            elif isinstance(item, ast.Extern) and not is_standard:
                self._findings.add(scope.source, ExternOutsideStd(item.name.text, span=item.span))
                scope.missing.add(item.name.text)
            elif isinstance(
                item, ast.RecordDecl | ast.EnumDecl | ast.Tool | ast.Agent | ast.Variant | ast.Extern | ast.Flow
            ):
                self._declare(scope, Declared(item.name.text, item, scope, item.name.span, item.span.end))
        self._loading.pop()
        return scope

    @property
    def modules(self) -> tuple[ModuleScope, ...]:
        """All imported modules, in order of loading."""
        return tuple(self._loaded.values())

    def _declare(self, scope: ModuleScope, declared: Declared) -> None:
        first = scope.names.get(declared.name)
        if first is not None:
            taken = DuplicateName(declared.name, f"{first.what}", first.at, span=declared.at)
            self._findings.add(scope.source, taken)
        elif declared.name in BUILTINS:
            taken = DuplicateName(declared.name, "a built-in function", None, span=declared.at)
            self._findings.add(scope.source, taken)
        else:
            scope.names[declared.name] = declared

    def _import(self, scope: ModuleScope, use: ast.Use) -> None:
        module = self._module(scope, use)
        names = use.names or (ast.ImportName(use.path[-1], None, span=use.path[-1].span),)
        if module is None:
            scope.missing.update((wanted.alias or wanted.name).text for wanted in names)
            return
        for wanted in names:
            found = module.names.get(wanted.name.text)
            if found is None or found.home is not module:
                own = tuple(one.name for one in module.own() if not one.name.startswith("_"))
                fault = NotInModule(
                    wanted.name.text,
                    module.name,
                    own,
                    nearest(wanted.name.text, own) if use.names else None,
                    span=wanted.span,
                )
                self._findings.add(scope.source, fault)
                scope.missing.add((wanted.alias or wanted.name).text)
                continue
            local = wanted.alias or wanted.name
            self._declare(scope, Declared(local.text, found.node, module, local.span, use.span.end))

    def _module(self, scope: ModuleScope, use: ast.Use) -> ModuleScope | None:
        path = tuple(part.text for part in use.path)
        dotted = _dotted(use)
        span = use.path[0].span.to(use.path[-1].span)
        if len(self._loading) > IMPORT_DEPTH or len(self._loaded) >= MODULES:
            reason = f"imports go deeper than {IMPORT_DEPTH} or name more than {MODULES} modules"
            self._findings.add(scope.source, ModuleNotFound(dotted, reason, None, span=span))
            return None
        source = self._read(scope.source, path, self._findings)
        if isinstance(source, str):
            self._findings.add(scope.source, ModuleNotFound(dotted, source, None, span=span))
            return None
        if source.name in self._loaded:
            return self._loaded[source.name]
        if source.name in self._loading:
            chain = (*self._loading[self._loading.index(source.name) :], source.name)
            self._findings.add(scope.source, ImportCycle(chain, span=span))
            return None
        module = self.scope(parse_program(source, self._findings), dotted)
        self._loaded[source.name] = module
        return module


def use_that_leads_to(loaded: Iterable[ModuleScope], module: str, name: str) -> tuple[ModuleScope, Span] | None:
    """Return where users import what needs a declaration of the standard library, None where nobody does.

    That is, in the first of the modules that are not of the standard library themselves: the name in a `use`, else a
    `use` of its module, else one of a module that imports it.
    """
    modules = {scope.name: scope for scope in loaded}
    for scope in modules.values():
        if scope.name.startswith(STANDARD):
            continue
        found: dict[int, Span] = {}
        for use in _uses(scope):
            path = _dotted(use)
            named = next((one.span for one in use.names if one.name.text == name), None)
            if path == module and named is not None:
                found.setdefault(0, named)
            elif path.startswith(STANDARD) and module in _reached(modules, path):
                found.setdefault(1 if path == module else 2, use.path[0].span.to(use.path[-1].span))
        if found:
            return scope, found[min(found)]
    return None


def _reached(modules: Mapping[str, ModuleScope], name: str) -> set[str]:
    """Return the names of a module and of all that it imports."""
    reached, waiting = {name}, [name]
    while waiting:
        scope = modules.get(waiting.pop())
        new = {_dotted(use) for use in _uses(scope)} - reached if scope is not None else set()
        reached |= new
        waiting += new
    return reached


def _uses(scope: ModuleScope) -> Iterator[ast.Use]:
    return (item for item in scope.items if isinstance(item, ast.Use))


def _dotted(use: ast.Use) -> str:
    return ".".join(part.text for part in use.path)
