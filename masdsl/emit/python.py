"""A program as a Python module: header, imports, classes, tools, agents, flows, and the program itself."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from itertools import pairwise
from typing import NamedTuple

from masdsl.check import program
from masdsl.check.program import Limits
from masdsl.emit.annotations import Types
from masdsl.emit.expressions import Expressions, text_piece
from masdsl.emit.layout import INDENT, Affix, Atom, Bracket, Piece, bracketed, statement
from masdsl.emit.literals import docstring, literal, number
from masdsl.emit.marks import Marks
from masdsl.emit.statements import Statements, limits
from masdsl.lower import ir
from masdsl.lower.names import field_names, word_names
from masdsl.source import Source
from masdsl.types import Enum

TYPING = frozenset({"Annotated", "Final"})
WORDS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


class PyModule(NamedTuple):
    """A generated Python module: its text, the program's name, and the sources that its marks refer to, by module."""

    text: str
    name: str
    sources: Mapping[str, Source]


def emit(module: ir.Module, *, header: str = "", version: str = "") -> PyModule:
    """Return the Python text of a program.

    `header` are further lines for its docstring, such as the worst case in calls; `version` is the compiler's. The text
    depends on nothing else than these and the program.
    """
    return PyModule(_Writer(module).text(header, version), module.name, dict(module.sources))


class _Block(NamedTuple):
    """Lines at the top of the module: of a class or a function, or of an assignment."""

    lines: list[str]
    is_definition: bool


class _Writer:
    """Writes one module. Declarations come first, so that the imports above them are those that are used."""

    def __init__(self, module: ir.Module) -> None:
        self._module = module
        self._used = {"Final", "Program"}
        self._sources = dict(module.sources)
        taken = {entry.name for entry in module.classes}
        self._types = Types(module.classes, self._used, taken)
        self._expressions = Expressions(self._types, self._used)

    def text(self, header: str, version: str) -> str:
        """Return the text."""
        module = self._module
        blocks: list[_Block] = []
        for entry in module.classes:
            self._add(blocks, self._class(entry), is_definition=True)
        for tool in module.tools:
            self._add(blocks, self._tool(tool))
        for agent in module.agents:
            self._add(blocks, self._agent(agent))
        for flow in module.flows:
            for param in flow.params:
                if param.constant is not None:
                    self._add(blocks, self._constant(param, flow.module))
            self._add(blocks, self._flow(flow), is_definition=True)
        self._add(blocks, self._program())
        lines = [self._head(header, version), "", *self._imports()]
        was_definition = False
        for block in blocks:
            lines += ["", "", *block.lines] if block.is_definition or was_definition else ["", *block.lines]
            was_definition = block.is_definition
        return "\n".join([*lines, "", 'if __name__ == "__main__":', f"{INDENT}PROGRAM.cli()", ""])

    def _add(self, blocks: list[_Block], lines: list[str], is_definition: bool = False) -> None:
        """Add a block of lines, below the aliases that it is the first to need."""
        for name, piece in self._types.new_aliases():
            blocks.append(_Block(statement("", f"{name} = ", piece, "", ""), False))
        blocks.append(_Block(lines, is_definition))

    # ------------------------------------------------------------ head

    def _head(self, header: str, version: str) -> str:
        name = os.path.basename(self._module.name)
        by = f" by masdsl {version}" if version else ""
        lines = [
            f"{self._title()}, compiled from {name}{by}.",
            "",
            f"Edit {name}, not this file, then run `mas build {name}`.",
            *header.strip().split("\n"),
        ]
        return docstring("\n".join(lines).strip(), "")

    def _title(self) -> str:
        flows = [flow.title for flow in self._module.flows if not flow.module]
        if not flows:
            return "Declarations"
        main = "main" if "main" in flows else flows[-1]
        others = len(set(flows)) - 1
        if not others:
            return f"Flow `{main}`"
        return f"Flow `{main}` and {WORDS[others] if others < len(WORDS) else others} more"

    def _imports(self) -> list[str]:
        typing = sorted(self._used & TYPING)
        runtime = sorted(self._used - TYPING, key=lambda name: (name[0].islower(), name))
        lines = [f"from typing import {', '.join(typing)}", "", *_import("masdsl.runtime", runtime)]
        externs = sorted(self._expressions.externs)
        return [*lines, *_import("masdsl.runtime.externs", externs)] if externs else lines

    # ------------------------------------------------------------ declarations

    def _class(self, entry: ir.Class) -> list[str]:
        marks = Marks(self._sources, entry.type.module)
        kind = entry.type
        if isinstance(kind, Enum):
            self._used.add("Enum")
            words = word_names(kind.words)
            body = [f"{INDENT}{words[word]} = {literal(word)}" for word in kind.words]
            return [f"class {entry.name}(Enum):{marks.at(entry.span)}", *body]
        self._used.add("Record")
        fields = field_names(field for field, _ in kind.fields)
        lines = [f"class {entry.name}(Record):{marks.at(entry.span)}"]
        for field, inner in kind.fields:
            piece = self._types.sized(inner, None if fields[field] == field else field)
            lines += statement(INDENT, f"{fields[field]}: ", piece, "", "")
        return lines

    def _tool(self, entry: ir.Declared) -> list[str]:
        tool = entry.item
        assert isinstance(tool, program.Tool)
        parts = [("name=", _text(tool.key)), *self._inputs(tool.params)]
        parts += [("returns=", self._types.sized(tool.returns)), ("granted_as=", _text(tool.granted_as))]
        if tool.effect:
            parts.append(("effect=", Atom("True")))
        if tool.timeout is not None:
            parts.append(("timeout=", Atom(number(tool.timeout))))
        return self._declaration(entry, "Tool", parts)

    def _agent(self, entry: ir.Declared) -> list[str]:
        agent = entry.item
        assert isinstance(agent, program.Agent)
        parts: list[tuple[str, Piece]] = [("name=", _text(agent.key))]
        if agent.model is not None and agent.is_model_name:
            self._used.add("Model")
            parts.append(("model=", Bracket("Model(", [("", _text(agent.model))], ")")))
        elif agent.model is not None:
            parts.append(("model=", _text(agent.model)))
        if agent.role is not None:
            parts.append(("role=", text_piece(agent.role, block=True)))
        if agent.temperature is not None:
            parts.append(("temperature=", Atom(number(agent.temperature))))
        if agent.max_tokens is not None:
            parts.append(("max_tokens=", Atom(str(agent.max_tokens))))
        parts += [*self._inputs(agent.params), ("returns=", self._types.sized(agent.returns))]
        parts.append(("retries=", Atom(str(agent.retries))))
        if agent.timeout is not None:
            parts.append(("timeout=", Atom(number(agent.timeout))))
        if entry.tools:
            parts.append(("tools=", _tuple(entry.tools)))
            parts.append(("steps=", Atom(str(agent.steps))))
        return self._declaration(entry, "Agent", parts, prompt=agent.prompt)

    def _inputs(self, params: Iterable[program.Param]) -> list[tuple[str, Piece]]:
        params = tuple(params)
        inputs = [(f"{literal(param.name)}: ", self._types.sized(param.type)) for param in params]
        optional = [
            (f"{literal(param.name)}: ", self._expressions.value(param.default, param.type))
            for param in params
            if param.optional
        ]
        found: list[tuple[str, Piece]] = []
        if inputs:
            found.append(("inputs=", Bracket("{", inputs, "}")))
        if optional:
            found.append(("optional=", Bracket("{", optional, "}")))
        return found

    def _declaration(
        self, entry: ir.Declared, kind: str, parts: list[tuple[str, Piece]], prompt: str | None = None
    ) -> list[str]:
        item = entry.item
        self._used.add(kind)
        if item.has_default:
            parts.append(("default=", self._expressions.value(item.default, item.returns)))
        if prompt is not None:
            parts.append(("prompt=", text_piece(prompt, block=True)))
        if item.doc:
            parts.append(("doc=", text_piece(item.doc)))
        mark = Marks(self._sources, item.module).at(entry.span)
        call = Bracket(f"{kind}[{self._types.bare(item.returns)}](", parts, ")")
        return bracketed("", f"{entry.name}: Final = ", call, "", mark)

    # ------------------------------------------------------------ flows

    def _flow(self, flow: ir.Flow) -> list[str]:
        self._used.add("Run")
        marks = Marks(self._sources, flow.module)
        lines: list[str] = []
        if flow.limits is not None or flow.has_default or flow.name != flow.key:
            lines += statement("", "@", self._options(flow), "", "")
        piece = Bracket(f"{flow.name}(", self._params(flow), ") -> ")
        returns = self._types.sized(flow.returns)
        lines += statement("", "async def ", piece, f"{returns.flat}:", marks.at(flow.span))
        if flow.doc:
            lines.append(f"{INDENT}{docstring(flow.doc, INDENT)}")
        body = Statements(self._expressions, marks).block(flow.body, INDENT, of_function=True)
        if flow.doc and body[0].lstrip().startswith("async def"):
            lines.append("")
        return [*lines, *body]

    def _options(self, flow: ir.Flow) -> Bracket:
        self._used.add("flow")
        parts: list[tuple[str, Piece]] = []
        if flow.name != flow.key:
            parts.append(("name=", _text(flow.key)))
        if flow.limits is not None:
            parts.append(("limits=", self._limits(flow.limits)))
        if flow.has_default:
            parts.append(("default=", self._expressions.value(flow.default, flow.returns)))
        return Bracket("flow(", parts, ")")

    def _params(self, flow: ir.Flow) -> list[tuple[str, Piece]]:
        """Return the parameters; those after one with a default need defaults in Python, or to be passed by name."""
        parts: list[tuple[str, Piece]] = [(f"{flow.frame}: ", Atom("Run"))]
        optional = [param.optional for param in flow.params]
        if any(before and not after for before, after in pairwise(optional)):
            parts.append(("", Atom("*")))
        for param in flow.params:
            kind = self._types.sized(param.type)
            if param.optional:
                default = Atom(param.constant) if param.constant is not None else self._default(param)
                parts.append((f"{param.name}: ", Affix(f"{kind.flat} = ", default, "")))
            else:
                parts.append((f"{param.name}: ", kind))
        return parts

    def _default(self, param: ir.FlowParam) -> Piece:
        return self._expressions.value(param.default, param.type)

    def _constant(self, param: ir.FlowParam, module: str) -> list[str]:
        before = f"{param.constant}: Final[{self._types.bare(param.type)}] = "
        return statement("", before, self._default(param), "", Marks(self._sources, module).at(param.span))

    # ------------------------------------------------------------ ending

    def _program(self) -> list[str]:
        module = self._module
        parts: list[tuple[str, Piece]] = [("name=", _text(os.path.basename(module.name)))]
        parts.append(("flows=", _tuple([flow.name for flow in module.flows])))
        if module.agents:
            parts.append(("agents=", _tuple([agent.name for agent in module.agents])))
        if module.tools:
            parts.append(("tools=", _tuple([tool.name for tool in module.tools])))
        if module.budget is not None:
            parts.append(("budget=", self._limits(module.budget)))
        return bracketed("", "PROGRAM: Final = ", Bracket("Program(", parts, ")"), "", "")

    def _limits(self, given: Limits) -> Piece:
        self._used.add("Limits")
        return Bracket("Limits(", limits(given), ")")


def _import(module: str, names: list[str]) -> list[str]:
    flat = f"from {module} import {', '.join(names)}"
    if len(flat) <= 120:
        return [flat]
    return [f"from {module} import (", *(f"{INDENT}{name}," for name in names), ")"]


def _text(text: str) -> Piece:
    return Atom(literal(text))


def _tuple(names: Iterable[str]) -> Piece:
    names = list(names)
    if len(names) == 1:
        return Atom(f"({names[0]},)")
    return Bracket("(", [("", Atom(name)) for name in names], ")")
