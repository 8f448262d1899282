"""Types of the language as JSON schemas of an OpenAPI document: `masdsl.formats.schema`, with names and comments.

Named types become components of their own, with their doc comments. One schema serves requests and answers: a field
that may be none may be left out of a request, and stands in every answer.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from masdsl import formats
from masdsl.check.program import Program
from masdsl.check.scope import ModuleScope
from masdsl.diagnostics.base import Findings
from masdsl.runtime.text import LARGEST_INT
from masdsl.serve.inputs import LARGEST_FLOAT, Parameter
from masdsl.syntax import ast
from masdsl.syntax.parse import parse_program
from masdsl.types import Enum, Float, Int, List, Optional, Record, Type

_OTHER: Final = re.compile(r"[^A-Za-z0-9_-]+")


class Schemas:
    """The schemas of one program's types; `components` grows by those that are asked for."""

    def __init__(self, name: str, program: Program) -> None:
        self._name = name
        self._docs = _docs(program)
        self.components: dict[str, dict[str, Any]] = {}

    def of(self, kind: Type) -> dict[str, Any]:
        """Return the schema of a type, and make components of the named types in it."""
        match kind:
            case Int():
                return {**formats.schema(kind), "minimum": -LARGEST_INT - 1, "maximum": LARGEST_INT}
            case Float():
                return {**formats.schema(kind), "minimum": -LARGEST_FLOAT, "maximum": LARGEST_FLOAT}
            case Optional(inner=inner):
                return {**formats.schema(kind), "anyOf": [self.of(inner), {"type": "null"}]}
            case List(element=element):
                return {**formats.schema(kind), "items": self.of(element)}
            case Enum() | Record():
                return self._named(kind)
            case _:
                return formats.schema(kind)

    def inputs(self, parameters: tuple[Parameter, ...]) -> dict[str, Any]:
        """Return the schema of a flow's inputs as one object."""
        properties = {}
        for one in parameters:
            properties[one.name] = schema = self.of(one.type)
            if not one.is_required:
                described = {"allOf": [schema]} if "$ref" in schema else schema
                properties[one.name] = {**described, "default": one.default}
        required = [one.name for one in parameters if one.is_required]
        return {
            "type": "object",
            "properties": properties,
            **({"required": required} if required else {}),
            "additionalProperties": False,
        }

    def _named(self, kind: Enum | Record) -> dict[str, Any]:
        if kind.name is None:
            return self._body(kind)
        parts = (self._name, kind.module, kind.name) if kind.module else (self._name, kind.name)
        key = ".".join(_OTHER.sub("-", part) for part in parts)
        if key not in self.components:
            self.components[key] = {}  # types do not contain themselves, but may be used twice
            doc = self._docs.get((kind.module, kind.name), "")
            self.components[key] = {**({"description": doc} if doc else {}), **self._body(kind)}
        return {"$ref": f"#/components/schemas/{key}"}

    def _body(self, kind: Enum | Record) -> dict[str, Any]:
        if isinstance(kind, Enum):
            return formats.schema(kind)
        return {
            **formats.schema(kind),
            "properties": {name: self.of(field) for name, field in kind.fields},
            "required": [name for name, field in kind.fields if not isinstance(field, Optional)],
        }


def _docs(program: Program) -> Mapping[tuple[str, str], str]:
    """Return the doc comments of a program's types, by module and name."""
    docs = {}
    for module in program.modules:
        parsed = parse_program(module.source, Findings())
        if not isinstance(parsed.document, ast.Program):
            continue
        scope = ModuleScope(module.name, parsed.source, parsed.document.items, parsed.comments)
        for item in parsed.document.items:
            if isinstance(item, ast.RecordDecl | ast.EnumDecl):
                docs[module.name, item.name.text] = scope.doc(item)
    return docs
