"""JSON schemas of an Agent Spec document as types and constants of a program; records and enums get declarations."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from masdsl.sizes import LARGEST_LIST, LARGEST_TEXT_TOKENS, MOST_CHARACTERS_PER_TOKEN
from masdsl.syntax import ast

NAME = re.compile(r"[a-z_][a-z0-9_]{0,63}")


class NoType(Exception):
    """A schema has no counterpart; `instead` is what to do."""

    def __init__(self, why: str, instead: str) -> None:
        super().__init__(why)
        self.instead = instead


class Types:
    """Writes types; `declarations` are the records and enums that they need, in order of need."""

    def __init__(self, reserved: frozenset[str]) -> None:
        self.declarations: list[ast.RecordDecl | ast.EnumDecl] = []
        self._reserved = reserved
        self._names: dict[str, str] = {}

    def type_of(self, schema: Any, hint: str) -> ast.TypeExpr:
        """Return the type of a schema; a declaration that it needs is called after `hint`. Raises NoType."""
        match schema:
            case {"type": "string", "enum": [*words]}:
                for word in words:
                    self._known(word, "a word of an enum")
                return _named(self._declared(schema, hint, tuple(words)))
            case {"type": "string", "maxLength": int(most)}:
                size = max(1, min(-(-most // MOST_CHARACTERS_PER_TOKEN), LARGEST_TEXT_TOKENS))
                return ast.NamedType(ast.Name("text"), ast.IntLit(size))
            case {"type": "string" | "integer" | "number" | "boolean" as plain}:
                return _named({"string": "text", "integer": "int", "number": "float", "boolean": "bool"}[plain])
            case {"type": "array", "items": items, "maxItems": int(most)} if 0 < most <= LARGEST_LIST:
                inner = self.type_of(items, hint)
                return ast.ListType(inner, ast.IntLit(most), bool(schema.get("minItems")))
            case {"type": "array"}:
                raise NoType("a list without `maxItems` may be of any length", "add `maxItems` to its schema")
            case {"anyOf": [inner, {"type": "null"}]}:
                return ast.OptionalType(self.type_of(inner, hint))
            case {"type": "object", "properties": dict(fields)} if fields:
                return _named(self._declared(schema, hint, fields))
            case _:
                found = json.dumps(schema)[:80] if isinstance(schema, dict) else "no schema"
                raise NoType(f"{found} is no type there", "use texts, numbers, lists, and objects with `properties`")

    def _known(self, name: object, what: str) -> str:
        if not isinstance(name, str) or NAME.fullmatch(name) is None or name in self._reserved:
            raise NoType(
                f"`{str(name)[:40]}` is no name for {what}", "rename it: small letters, digits and underscores"
            )
        return name

    def _declared(self, schema: Mapping[str, Any], hint: str, parts: Mapping[str, Any] | tuple[str, ...]) -> str:
        key = json.dumps({name: value for name, value in schema.items() if name not in ("title", "default")})
        if key in self._names:
            return self._names[key]
        if isinstance(parts, tuple):
            name = self._give(key, hint)
            self.declarations.append(ast.EnumDecl(ast.Name(name), tuple(map(ast.Name, parts))))
            return name
        fields = tuple(
            ast.Field(ast.Name(self._known(field, "a field")), self.type_of(inner, f"{hint}_{field}"))
            for field, inner in parts.items()
        )
        name = self._give(key, hint)
        self.declarations.append(ast.RecordDecl(ast.Name(name), fields))
        return name

    def _give(self, key: str, hint: str) -> str:
        words = re.findall(r"[a-z0-9]+", hint.lower())
        is_name = hint[:1].isupper() and hint.isalnum() and hint.isascii()
        base = hint if is_name else "".join(word.capitalize() for word in words)
        base = base[:56].lstrip("0123456789") or "Type"
        base = base[0].upper() + base[1:]
        name, number = base, 1
        while name in self._names.values():
            number += 1
            name = f"{base}{number}"
        self._names[key] = name
        return name

    def literal(self, value: Any, schema: Any, hint: str) -> ast.Literal:
        """Return a constant of a schema's type. Raises NoType."""
        if isinstance(schema, dict) and "anyOf" in schema and value is not None:
            self.type_of(schema, hint)
            return self.literal(value, schema["anyOf"][0], hint)
        match value:
            case None:
                return ast.NoneLit()
            case bool():
                return ast.BoolLit(value)
            case int():
                return ast.IntLit(value)
            case float():
                return ast.FloatLit(value)
            case str() if isinstance(schema, dict) and "enum" in schema:
                kind = self.type_of(schema, hint)
                assert isinstance(kind, ast.NamedType)
                return ast.TagLit(kind.name, ast.Name(self._known(value, "a word of an enum")))
            case str():
                return ast.StrLit(value)
            case list() if isinstance(schema, dict):
                return ast.ListLit(tuple(self.literal(item, schema.get("items"), hint) for item in value))
            case dict() if isinstance(schema, dict) and isinstance(schema.get("properties"), dict):
                kind = self.type_of(schema, hint)
                assert isinstance(kind, ast.NamedType)
                parts = tuple(
                    ast.NamedValue(ast.Name(field), self.literal(value.get(field), inner, f"{hint}_{field}"))
                    for field, inner in schema["properties"].items()
                )
                return ast.RecordLit(kind.name, parts)
            case _:
                raise NoType("its default has no counterpart", "leave the default out")


def _named(name: str) -> ast.NamedType:
    return ast.NamedType(ast.Name(name), None)


def depth(schema: Mapping[str, Any]) -> int:
    """Return how many lists are around the values of a schema."""
    if "anyOf" in schema:
        return max(depth(one) for one in schema["anyOf"])
    return 1 + depth(schema.get("items") or {}) if schema.get("type") == "array" else 0
