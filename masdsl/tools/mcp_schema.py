"""Tools of MCP servers and declarations: a JSON schema held against the types of the language.

What is compared is what a schema says plainly: names, which of them are required, kinds of values. A schema says more
than that in more ways than anybody reads; whatever else it wants, the server will say when the tool is used.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from masdsl.diagnostics.suggest import did_you_mean
from masdsl.tools.base import Declared, Mismatch, in_words, is_checkable
from masdsl.types import Bool, Enum, Float, Int, List, Optional, Record, Text, Type

_DEEPEST = 16


class ServerTool(NamedTuple):
    """A tool as a server describes it. `changes` is whether it says that it changes the world, None if nothing."""

    name: str
    inputs: Mapping[str, Any]
    output: Mapping[str, Any] | None = None
    changes: bool | None = None


def mismatches(tool: ServerTool, declared: Declared, effect: bool | None = None) -> Iterator[Mismatch]:
    """Yield how a declaration differs from a server's tool; `effect` is what the host says of it, which goes before."""
    schema = _Schema(tool.inputs)
    properties = schema.properties(tool.inputs)
    required = tool.inputs.get("required", ())
    for name, kind in declared.inputs.items():
        if name not in properties:
            if not schema.takes_others(tool.inputs):
                listed = ", ".join(f"`{one}`" for one in properties) or "none"
                advice = did_you_mean(name, properties, f"take it out; the tool's inputs are {listed}")
                yield Mismatch(name, f"has an input `{name}`, which the server's tool does not take", advice)
        elif is_checkable(kind) and not _takes_input(schema, properties[name], kind, name in required):
            wanted = schema.in_words(properties[name])
            problem = f"passes {in_words(kind)} as `{name}`, and the server's tool takes {wanted}"
            yield Mismatch(name, problem, f"declare `{name}` as {wanted}")
    for name in required if isinstance(required, list | tuple) else ():
        if name not in declared.inputs:
            wanted = schema.in_words(properties.get(name, {}))
            problem = f"lacks the input `{name}`, which the server's tool requires"
            yield Mismatch(None, problem, f"add `{name}: {wanted}` to the declaration")
    if tool.output is not None and is_checkable(declared.returns):
        yield from _of_result(tool.output, declared.returns)
    if (tool.changes if effect is None else effect) and not declared.effect:
        problem = "is declared without `effect`, and the server says that it changes the world"
        yield Mismatch(
            None, problem, "add `effect` to the declaration, or `effect = false` to the grant if you know better"
        )


def arguments_for(tool: ServerTool, inputs: Mapping[str, object]) -> dict[str, object]:
    """Return the inputs as the server takes them: none is left out where a value need not, or cannot, be null."""
    schema = _Schema(tool.inputs)
    properties = schema.properties(tool.inputs)
    required = tool.inputs.get("required", ())
    return {
        name: value
        for name, value in inputs.items()
        if value is not None or (name in required and schema.takes_null(properties.get(name, {})))
    }


def declaration(tool: ServerTool, name: str, granted_as: str) -> str:
    """Return a declaration of a server's tool for a program to begin with; `name` is what the program calls it.

    What a schema says of records as inputs, and of words, is left to whoever writes the program: they need types.
    """
    schema = _Schema(tool.inputs)
    required = tool.inputs.get("required", ())
    inputs = [
        f"{key}: {schema.written(wanted)}{'' if key in required else '?'}"
        for key, wanted in schema.properties(tool.inputs).items()
    ]
    effect = " effect" if tool.changes else ""
    return f'tool {name}({", ".join(inputs)}) -> {_written_result(tool.output)} from "{granted_as}"{effect}'


def _written_result(output: Mapping[str, Any] | None) -> str:
    if output is None:
        return "text"
    schema = _Schema(output)
    properties = schema.properties(output)
    if list(properties) == ["result"]:
        return schema.written(properties["result"])
    fields = ", ".join(f"{name}: {schema.written(wanted)}" for name, wanted in properties.items())
    return f"({fields})" if fields else "text"


def _takes_input(schema: _Schema, wanted: Any, kind: Type, is_required: bool) -> bool:
    if isinstance(kind, Optional):  # none is left out, where that is allowed
        if is_required and not schema.takes_null(wanted):
            return False
        kind = kind.inner
    return schema.takes(wanted, kind)


def _of_result(output: Mapping[str, Any], returns: Type) -> Iterator[Mismatch]:
    schema = _Schema(output)
    properties = schema.properties(output)
    inner = returns.inner if isinstance(returns, Optional) else returns
    if isinstance(inner, Text):
        return  # any result can be shown as text
    if not isinstance(inner, Record):
        wrapped = properties.get("result") if list(properties) == ["result"] else None
        found = output if wrapped is None else wrapped
        if not schema.gives(found, inner):
            problem = f"gives {in_words(inner)}, and the server's tool gives {schema.in_words(found)}"
            yield Mismatch("", problem, "declare another type of result")
        return
    for name, kind in inner.fields:
        if name not in properties:
            if properties and not isinstance(kind, Optional):
                advice = did_you_mean(name, properties, f"take it out; its fields are {', '.join(properties)}")
                yield Mismatch("", f"gives a field `{name}`, which the server's tool does not give", advice)
        elif is_checkable(kind) and not schema.gives(properties[name], kind):
            problem = f"gives the field `{name}` of type {in_words(kind)}, and the server's tool gives"
            yield Mismatch("", f"{problem} {schema.in_words(properties[name])}", "declare another type of result")


_NAMES = {
    "string": "text",
    "integer": "int",
    "number": "float",
    "boolean": "bool",
    "array": "a list",
    "object": "a record",
}


class _Schema:
    """A JSON schema with the definitions of its root. Whatever is not understood fits everything."""

    def __init__(self, root: Mapping[str, Any]) -> None:
        self._root = root

    def resolved(self, schema: Any) -> Mapping[str, Any]:
        """Return a schema behind its references; an empty one, which allows everything, where they lead nowhere."""
        for _ in range(_DEEPEST):
            if not isinstance(schema, Mapping):
                return {}
            reference = schema.get("$ref")
            if not isinstance(reference, str):
                return schema
            schema = self._root if reference.startswith("#") else {}
            for part in reference.lstrip("#/").split("/"):
                if part:
                    schema = (
                        schema.get(part.replace("~1", "/").replace("~0", "~"), {})
                        if isinstance(schema, Mapping)
                        else {}
                    )
        return {}

    def properties(self, schema: Any) -> Mapping[str, Any]:
        """Return the fields of an object's schema."""
        found = self.resolved(schema).get("properties")
        return found if isinstance(found, Mapping) else {}

    def takes_others(self, schema: Any) -> bool:
        """Whether an object may have fields that its schema does not name, and says so."""
        others = self.resolved(schema).get("additionalProperties")
        return others is True or (isinstance(others, Mapping) and others != {"not": {}})

    def takes_null(self, schema: Any) -> bool:
        """Whether null is a value of a schema."""
        return any(not kinds or "null" in kinds for kinds, _ in self._options(schema))

    def takes(self, schema: Any, kind: Type, depth: int = 0) -> bool:
        """Whether all values of a type fit a schema, as far as it is understood."""
        if depth > _DEEPEST:
            return True
        return any(self._takes(kinds, option, kind, depth) for kinds, option in self._options(schema))

    def _takes(self, kinds: frozenset[str], option: Mapping[str, Any], kind: Type, depth: int) -> bool:
        words = option.get("enum")
        if isinstance(words, list) and not (
            isinstance(kind, Enum) and set(kind.words) <= {w for w in words if isinstance(w, str)}
        ):
            return not kinds and not words
        if not kinds:
            return True
        match kind:
            case Text() | Enum():
                return "string" in kinds
            case Bool():
                return "boolean" in kinds
            case Int():
                return bool(kinds & {"integer", "number"})
            case Float():
                return "number" in kinds
            case List(element=element):
                return "array" in kinds and self.takes(option.get("items", {}), element, depth + 1)
            case Record(fields=fields):
                properties = self.properties(option)
                return "object" in kinds and all(
                    self.takes(properties[name], inner, depth + 1) for name, inner in fields if name in properties
                )
            case Optional(inner=inner):
                return self.takes(option, inner, depth + 1)
        return True

    def gives(self, schema: Any, kind: Type) -> bool:
        """Whether some value of a schema fits a type."""
        wanted = {
            Enum: {"string"}, Bool: {"boolean"}, Int: {"integer", "number"}, Float: {"integer", "number"},
            List: {"array"}, Record: {"object"}, Optional: {"null"},
        }.get(type(kind))  # fmt: skip
        if wanted is None or (isinstance(kind, Optional) and self.gives(schema, kind.inner)):
            return True
        return any(not kinds or kinds & wanted for kinds, _ in self._options(schema))

    def _options(self, schema: Any) -> Iterator[tuple[frozenset[str], Mapping[str, Any]]]:
        """Yield the kinds of values that a schema allows, one alternative after another; no kinds are any kind."""
        found = self.resolved(schema)
        for key in ("anyOf", "oneOf"):
            several = found.get(key)
            if isinstance(several, list) and several:
                for one in several:
                    inner = self.resolved(one)
                    yield _kinds(inner), inner
                return
        yield _kinds(found), found

    def written(self, schema: Any, depth: int = 0) -> str:
        """Return a schema as a type of the language, as near as that can be without types of the program."""
        kinds = [(kinds, option) for kinds, option in self._options(schema) if kinds != {"null"}]
        if len(kinds) != 1 or depth > 3:
            return "text"
        (found, option), optional = kinds[0], "?" if self.takes_null(schema) and depth else ""
        if "array" in found:
            return f"{self.written(option.get('items', {}), depth + 1).removesuffix('?')}[20]{optional}"
        simple = {"integer": "int", "number": "float", "boolean": "bool"}
        return simple.get(next(iter(found - {"null"}), ""), "text") + optional

    def in_words(self, schema: Any) -> str:
        """Return what a schema allows, in the words of the language."""
        names = [
            _NAMES.get(kind, kind) for kinds, _ in self._options(schema) for kind in sorted(kinds) if kind != "null"
        ]
        return " or ".join(dict.fromkeys(names)) or "anything"


def _kinds(schema: Mapping[str, Any]) -> frozenset[str]:
    kind = schema.get("type")
    if isinstance(kind, str):
        return frozenset((kind,))
    if isinstance(kind, list):
        return frozenset(one for one in kind if isinstance(one, str))
    return frozenset()
