"""A program as one readable Python file on LangGraph, which needs nothing of masdsl: `mas export --to langgraph`.

The file has, in this order, what the export leaves behind (its docstring), imports, what stands behind the graph
(`langgraph_support.py` and functions of the runtime, copied), types, tools, agents, and a graph for each flow.
"""

from __future__ import annotations

import os
from collections.abc import Iterable

from masdsl.check import program
from masdsl.check.program import Program
from masdsl.emit.expressions import text_piece
from masdsl.emit.layout import INDENT, Affix, Atom, Bracket, Piece, bracketed, statement
from masdsl.emit.literals import docstring, literal, number
from masdsl.emit.marks import Marks
from masdsl.formats import output_contract, reply_tokens
from masdsl.interop.copied import SUPPORT, Copied, Imported, copied, defined
from masdsl.interop.langgraph_graph import Callee, FlowGraph
from masdsl.interop.langgraph_nodes import AT, RESULT
from masdsl.interop.langgraph_values import GraphExpressions, GraphTypes
from masdsl.lower import ir, lower
from masdsl.lower.lower import effects_of
from masdsl.lower.names import BUILTIN_CLASSES, BUILTIN_NAMES, KEYWORDS, Names, field_names, word_names
from masdsl.source import Source
from masdsl.types import Enum

BUILTINS, EXTERNS = "masdsl.runtime.builtins", "masdsl.runtime.externs"
_STANDARD = frozenset(("__future__", "asyncio", "collections", "collections.abc", "dataclasses", "enum", "functools"))
_STANDARD |= {"inspect", "json", "math", "random", "re", "sys", "typing", "unicodedata"}
_OWN_IMPORTS = {
    "Any": Imported("typing", "Any"),
    "Annotated": Imported("typing", "Annotated"),
    "Field": Imported("pydantic", "Field"),
    "Send": Imported("langgraph.types", "Send"),
    "Runtime": Imported("langgraph.runtime", "Runtime"),
    "StateGraph": Imported("langgraph.graph", "StateGraph"),
    "START": Imported("langgraph.graph", "START"),
    "END": Imported("langgraph.graph", "END"),
    "TypedDict": Imported("typing", "TypedDict"),
    "CompiledStateGraph": Imported("langgraph.graph.state", "CompiledStateGraph"),
}
_LOST = """
What the export leaves behind: the worst case that masdsl proves and enforces (calls, tokens, USD, seconds), the sizes
of texts, 64-bit whole numbers, the journal (runs that are resumed), patches and repairs, and trust. Replies are read as
JSON or bare words; masdsl's reader takes more.
"""


def export(checked: Program, *, version: str = "", headline: str = "") -> str:
    """Return the text of a checked program that `masdsl.interop.subset` has let through.

    `headline` says the proved worst case. The text depends on nothing but these and the program.
    """
    return _Writer(checked).text(version, headline)


class _Writer:
    """Writes one file. What the file has of its own is written first, so that only what it uses is copied."""

    def __init__(self, checked: Program) -> None:
        module = lower(checked)
        self._program = checked
        self._module = module
        self._sources: dict[str, Source] = dict(module.sources)
        self._used: set[str] = {
            "Any",
            "StateGraph",
            "TypedDict",
            "CompiledStateGraph",
            "Host",
            "Flow",
            "call",
        }
        self._names = Names({*BUILTIN_NAMES, *BUILTIN_CLASSES, *KEYWORDS, *_OWN_IMPORTS, *_support_names(checked)})
        classes = tuple(entry.replace(name=self._names.give_class(entry.name)) for entry in module.classes)
        self._classes = classes
        self._types = GraphTypes(classes, self._used, set())
        self._expressions = GraphExpressions(self._types, self._used)
        self._callees = self._all_callees(checked)

    def _all_callees(self, checked: Program) -> dict[tuple[str, str], Callee]:
        effects = effects_of(checked)
        items: list[tuple[str, program.Tool | program.Agent | program.Flow]] = [
            *(("tool", tool) for tool in checked.tools),
            *(("agent", agent) for agent in checked.agents),
            *(("flow", flow) for flow in checked.flows),
        ]
        own_first = sorted(items, key=lambda item: bool(item[1].module))
        names = {id(item): self._names.give(item.key.replace(".", "_").upper()) for _, item in own_first}
        return {
            (kind, item.key): Callee(
                names[id(item)], {param.name: param.type for param in item.params}, (kind, item.key) in effects
            )
            for kind, item in items
        }

    def text(self, version: str, headline: str) -> str:
        """Return the text."""
        blocks = [self._class(entry) for entry in self._classes]
        constants = [self._tool(tool) for tool in self._program.tools]
        constants += [self._agent(agent) for agent in self._program.agents]
        if constants:
            blocks.append([line for constant in constants for line in ("", *constant)][1:])
        for flow in self._program.flows:
            blocks += self._flow(flow)
        support = self._support()
        lines = [self._head(version, headline), "", *self._imports(support)]
        for text in (*support.definitions, *("\n".join(block) for block in blocks)):
            is_first_constant = text is support.definitions[0] and not text.startswith(
                ("@", "def ", "class ", "async ")
            )
            lines += ["", text] if is_first_constant else ["", "", text]
        return "\n".join([*lines, ""])

    # ------------------------------------------------------------ head

    def _head(self, version: str, headline: str) -> str:
        name = os.path.basename(self._module.name)
        flows = [flow for flow in self._program.flows if not flow.module]
        main = next((flow for flow in flows if flow.name == "main"), flows[-1])
        by = f" by masdsl {version}" if version else ""
        inputs = ", ".join(f'"{param.name}": ...' for param in main.params)
        tiers = sorted({agent.model or "default" for agent in self._program.agents})
        models = ", ".join(f'"{tier}": ...' for tier in tiers)
        tools = ", ".join(f'"{tool}": ...' for tool in sorted({tool.granted_as for tool in self._program.tools}))
        host = f"Host(models={{{models}}}" + (f", tools={{{tools}}})" if tools else ")")
        lines = [
            f"The flow {main.name} on LangGraph, exported from {name}{by}.",
            "",
            f"    value = await call({self._callees['flow', main.key].name}, {host}, {{{inputs}}})",
            "",
            "with a chat model of langchain-core for each tier, and a function for each tool.",
            *(["", headline] if headline else []),
            *_LOST.rstrip("\n").split("\n"),
        ]
        return docstring("\n".join(lines), "")

    def _imports(self, support: Copied) -> list[str]:
        wanted = {*support.imports, *(_OWN_IMPORTS[name] for name in self._used if name in _OWN_IMPORTS)}
        wanted = {one for one in wanted if one.module != "__future__"}
        lines = ["from __future__ import annotations"]
        for standard in (True, False):
            part = [one for one in wanted if (one.module in _STANDARD) == standard]
            if not part:
                continue
            lines.append("")
            lines += sorted(f"import {one.module}" for one in part if not one.name)
            for module in sorted({one.module for one in part if one.name}):
                names = sorted((one.name for one in part if one.module == module and one.name), key=_import_order)
                lines += _import(module, names)
        return lines

    def _support(self) -> Copied:
        externs = self._expressions.externs
        here, builtins = defined(SUPPORT), defined(BUILTINS)
        wanted = [(SUPPORT, name) for name in sorted(self._used & here)]
        wanted += [(BUILTINS, name) for name in sorted(self._used & builtins - here)]
        return copied([*wanted, *((EXTERNS, name) for name in sorted(externs))])

    # ------------------------------------------------------------ declarations

    def _class(self, entry: ir.Class) -> list[str]:
        mark = Marks(self._sources, entry.type.module).at(entry.span)
        kind = entry.type
        if isinstance(kind, Enum):
            self._used.add("Word")
            words = word_names(kind.words)
            return [
                f"class {entry.name}(Word):{mark}",
                *(f"{INDENT}{words[word]} = {literal(word)}" for word in kind.words),
            ]
        self._used.add("Record")
        fields = field_names(field for field, _ in kind.fields)
        lines = [f"class {entry.name}(Record):{mark}"]
        for field, inner in kind.fields:
            piece = self._types.sized(inner, None if fields[field] == field else field)
            lines += statement(INDENT, f"{fields[field]}: ", piece, "", "")
        return lines if kind.fields else [*lines, f"{INDENT}pass"]

    def _tool(self, tool: program.Tool) -> list[str]:
        parts = [("name=", _text(tool.key)), ("granted_as=", _text(tool.granted_as))]
        parts.append(("returns=", self._types.sized(tool.returns)))
        if tool.timeout is not None:
            parts.append(("timeout=", Atom(number(tool.timeout))))
        return self._declaration("tool", tool, "Tool", parts)

    def _agent(self, agent: program.Agent) -> list[str]:
        parts = [("name=", _text(agent.key)), ("model=", _text(agent.model or "default"))]
        parts.append(("prompt=", text_piece(agent.prompt, block=True)))
        if agent.unmentioned:
            parts.append(("sections=", _tuple(agent.unmentioned)))
        contract = output_contract(agent.returns)
        if contract:
            parts.append(("contract=", text_piece(contract, block=True)))
        parts.append(("returns=", self._types.sized(agent.returns)))
        if agent.role is not None:
            parts.append(("role=", text_piece(agent.role, block=True)))
        if agent.temperature is not None:
            parts.append(("temperature=", Atom(number(agent.temperature))))
        tokens = reply_tokens(agent.returns) if agent.max_tokens is None else agent.max_tokens
        parts.append(("max_tokens=", Atom(number(max(tokens, 1)))))
        if agent.retries:
            parts.append(("retries=", Atom(number(agent.retries))))
        if agent.timeout is not None:
            parts.append(("timeout=", Atom(number(agent.timeout))))
        return self._declaration("agent", agent, "Agent", parts)

    def _declaration(
        self, kind: str, item: program.Tool | program.Agent, class_: str, parts: list[tuple[str, Piece]]
    ) -> list[str]:
        self._used.add(class_)
        optional = [
            (f"{literal(param.name)}: ", self._expressions.value(param.default, param.type))
            for param in item.params
            if param.optional
        ]
        if optional:
            parts.append(("optional=", Bracket("{", optional, "}")))
        if item.has_default:
            parts.append(("default=", self._expressions.value(item.default, item.returns)))
        mark = Marks(self._sources, item.module).at(item.span)
        call = Bracket(f"{class_}(", parts, ")")
        return bracketed("", f"{self._callees[kind, item.key].name} = ", call, "", mark)

    # ------------------------------------------------------------ flows

    def _flow(self, flow: program.Flow) -> list[list[str]]:
        marks = Marks(self._sources, flow.module)
        graph = FlowGraph(flow, self._callees, self._names, self._expressions, marks)
        wiring = graph.wiring()
        self._used |= {"START", "END"}
        self._used |= {"Send"} if any("Send(" in line for lines in graph.functions for line in lines) else set()
        maker = self._names.give(f"{flow.key.replace('.', '_')}_graph")
        annotation = "CompiledStateGraph[Any, Any, Any, Any]"
        lines = [f"def {maker}() -> {annotation}:{marks.at(flow.span)}"]
        if flow.doc:
            lines.append(f"{INDENT}{docstring(flow.doc, INDENT)}")
        constant = self._callees["flow", flow.key].name
        parts: list[tuple[str, Piece]] = [("", _text(flow.key)), ("", Atom(f"{maker}()"))]
        if flow.has_default:
            parts.append(("default=", self._expressions.value(flow.default, flow.returns)))
        made = statement("", f"{constant} = ", Bracket("Flow(", parts, ")"), "", "")
        return [self._state(graph), *graph.functions, [*lines, *wiring], made]

    def _state(self, graph: FlowGraph) -> list[str]:
        """Write the state's class; with a call where a key is no name of Python."""
        fields = {key: " | ".join(kinds) for key, kinds in graph.state.items()}
        if any("Annotated" in kind for kind in fields.values()):
            self._used.add("Annotated")
        if all(key not in KEYWORDS for key in fields):
            return [
                f"class {graph.state_class}(TypedDict, total=False):",
                *(f"{INDENT}{key}: {kind}" for key, kind in fields.items()),
            ]
        entries: list[tuple[str, Piece]] = [(f"{literal(key)}: ", Atom(kind)) for key, kind in fields.items()]
        parts: list[tuple[str, Piece]] = [("", _text(graph.state_class)), ("", Bracket("{", entries, "}"))]
        call = Bracket("TypedDict(", [*parts, ("total=", Atom("False"))], ")")
        return statement("", f"{graph.state_class} = ", call, "", "")


def _support_names(checked: Program) -> set[str]:
    """Return all names that copied definitions may have, whatever the file then needs of them."""
    builtins = [(BUILTINS, function) for function in sorted(ir.FUNCTIONS.values())]
    externs = [(EXTERNS, name) for name in sorted(_externs_in(checked))]
    everything = [(SUPPORT, name) for name in sorted(defined(SUPPORT))]
    found = copied([*everything, *builtins, *externs])
    return {*found.names, *(one.name or one.module for one in found.imports), AT, RESULT}


def _externs_in(checked: Program) -> set[str]:
    from masdsl.check.uses import nodes_of

    return {
        node.name
        for flow in checked.flows
        for one in flow.body
        for node in nodes_of(one)
        if isinstance(node, program.Builtin) and node.extern is not None
    }


def _import_order(name: str) -> tuple[int, str]:
    """Return where a name stands in an import: constants, classes, then functions, without case."""
    return (0 if name.isupper() and len(name) > 1 else 1 if name[0].isupper() else 2, name.lower())


def _import(module: str, names: list[str]) -> list[str]:
    flat = f"from {module} import {', '.join(names)}"
    if len(flat) <= 120:
        return [flat]
    return [f"from {module} import (", *(f"{INDENT}{name}," for name in names), ")"]


def _text(text: str) -> Piece:
    return Atom(literal(text))


def _tuple(names: Iterable[str]) -> Piece:
    parts: list[tuple[str, Piece]] = [("", _text(name)) for name in names]
    return Affix("(", parts[0][1], ",)") if len(parts) == 1 else Bracket("(", parts, ")")
