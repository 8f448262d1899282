"""From a checked program to what Python does: names, classes, declarations, and every flow's body as scheduled."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from masdsl.check import program
from masdsl.check.program import Program
from masdsl.lower import ir
from masdsl.lower.blocks import Callees, UnitBuilder
from masdsl.lower.functions import FunctionWriter
from masdsl.lower.names import BUILTIN_CLASSES, BUILTIN_NAMES, KEYWORDS, Names, field_names, word_names
from masdsl.lower.unused import without_unused
from masdsl.lower.variables import Variables, same_class
from masdsl.node import Node
from masdsl.types import Enum, List, Optional, Record, Type

Key = tuple[str, str]
Parameters = dict[str, tuple[str, Type]]


def lower(checked: Program, *, in_order: bool = False) -> ir.Module:
    """Return what the program does, as Python does it. The program has been checked: nothing here can fail.

    With `in_order`, no step runs beside another, and all follow each other as in the source: for tests, where that is
    the order in which answers are given.

    Functions of the runtime are imported where they are used: only then does a name of the program make way for one.
    """
    reserved = {*BUILTIN_NAMES, *BUILTIN_CLASSES, *ir.IMPORTED}
    while True:
        module, given = _lower(checked, reserved, in_order)
        clash = given & _functions_used(module)
        if not clash:
            return module
        reserved |= clash


def _lower(checked: Program, reserved: set[str], in_order: bool) -> tuple[ir.Module, set[str]]:
    """Lower a program with names that keep away from some; return it, and all the names that were given."""
    outer = Names(reserved)
    names = _module_names(checked, outer)
    own_types = [kind for kind in checked.types if not kind.module]
    class_names = {
        id(kind): outer.give_class(kind.name or "")
        for kind in (*own_types, *(kind for kind in checked.types if kind.module))
    }
    classes = [_class(class_names[id(kind)], kind) for kind in checked.types]
    constants = {
        (flow.key, param.name): outer.give(f"{names['flow', flow.key]}_{param.name}")
        for flow in checked.flows
        for param in flow.params
        if isinstance(param.default, tuple | program.RecordValue)
    }
    variables = {flow.key: Variables(flow, outer.inner()) for flow in checked.flows}
    callees = Callees(names, _parameters(checked, variables), effects_of(checked, everything=in_order))
    flows = tuple(
        _flow(flow, names["flow", flow.key], variables[flow.key], callees, constants) for flow in checked.flows
    )
    tools = tuple(ir.Declared(names["tool", tool.key], tool, (), span=tool.span) for tool in checked.tools)
    agents = tuple(
        ir.Declared(names["agent", agent.key], agent, tuple(names["tool", key] for key in agent.tools), span=agent.span)
        for agent in checked.agents
    )
    for hint, nameless in _nameless(checked, flows):
        if all(known.type != nameless for known in classes):
            classes.append(_class(outer.give_class(hint), nameless))
    module = ir.Module(
        name=checked.modules[0].source.name,
        sources=tuple((module.name, module.source) for module in checked.modules),
        classes=tuple(classes),
        tools=tools,
        agents=agents,
        flows=flows,
        budget=checked.budget,
    )
    return module, outer.given.union(*(own.names.given for own in variables.values()))


def _functions_used(module: ir.Module) -> set[str]:
    parts = (part for flow in module.flows for part in _parts(flow.body))
    return {function for part in parts if (function := ir.function_of(part)) is not None}  # type: ignore[arg-type]


def _flow(flow: program.Flow, name: str, variables: Variables, callees: Callees, constants: dict[Key, str]) -> ir.Flow:
    types = variables.types()
    units = UnitBuilder(variables, callees, flow.returns).body(flow.body)
    params = tuple(
        ir.FlowParam(
            variables.params[param.name].name,
            param.name,
            same_class(param.type),
            param.optional,
            param.default,
            constants.get((flow.key, param.name)),
            span=param.span,
        )
        for param in flow.params
    )
    writer = FunctionWriter(variables, types, variables.frame, flow.name, [param.name for param in params])
    body = without_unused(tuple(writer.block(units, frozenset())))
    return ir.Flow(
        name=name,
        key=flow.key,
        title=flow.name,
        module=flow.module,
        frame=variables.frame,
        params=params,
        returns=same_class(flow.returns),
        limits=flow.limits,
        has_default=flow.has_default,
        default=flow.default,
        body=body,
        doc=flow.doc,
        span=flow.span,
    )


# ---------------------------------------------------------------- names


def _module_names(checked: Program, outer: Names) -> dict[Key, str]:
    """Name what the program declares: its own declarations first, so that imported ones make way."""
    items: list[tuple[str, program.Tool | program.Agent | program.Flow]] = [
        *(("tool", tool) for tool in checked.tools),
        *(("agent", agent) for agent in checked.agents),
        *(("flow", flow) for flow in checked.flows),
    ]
    own = [item for item in items if not item[1].module]
    imported = [item for item in items if item[1].module]
    return {(kind, item.key): outer.give(item.key.replace(".", "_")) for kind, item in (*own, *imported)}


def _parameters(checked: Program, variables: dict[str, Variables]) -> dict[Key, Parameters]:
    """Return, for everything that can be called, its parameters: their Python names and types."""
    table: dict[Key, Parameters] = {}
    items: tuple[program.Tool | program.Agent, ...] = (*checked.tools, *checked.agents)
    for item in items:
        kind = "tool" if isinstance(item, program.Tool) else "agent"
        table[kind, item.key] = {param.name: (_keyword(param.name), same_class(param.type)) for param in item.params}
    for flow in checked.flows:
        own = variables[flow.key].params
        table["flow", flow.key] = {param.name: (own[param.name].name, same_class(param.type)) for param in flow.params}
    return table


def _keyword(name: str) -> str:
    """Return the keyword argument that passes an input: only words of Python itself are in the way."""
    return f"{name}_" if name in KEYWORDS else name


def _class(name: str, kind: Record | Enum) -> ir.Class:
    if isinstance(kind, Enum):
        return ir.Class(name, kind, tuple(word_names(kind.words).values()), span=kind.span)
    fields = field_names(field for field, _ in kind.fields)
    return ir.Class(name, kind, tuple(fields.values()), span=kind.span)


# ---------------------------------------------------------------- effects


def effects_of(checked: Program, *, everything: bool = False) -> set[Key]:
    """Return what keeps the order of the source: effect tools, agents that may use one, flows that call one; or all."""
    found: set[Key] = {("tool", tool.key) for tool in checked.tools if tool.effect or everything}
    if everything:
        found |= {("agent", agent.key) for agent in checked.agents}
    found |= {("agent", agent.key) for agent in checked.agents if any(("tool", key) in found for key in agent.tools)}
    if found:
        for flow in checked.flows:
            if any((step.kind, step.callee) in found for step in _parts(flow.body) if isinstance(step, program.Invoke)):
                found.add(("flow", flow.key))
    return found


def _parts(tree: object) -> Iterator[Node]:
    """Yield every node of a tree, parents first."""
    pending = [tree]
    while pending:
        part = pending.pop()
        if isinstance(part, Node):
            yield part
            pending.extend(getattr(part, field) for field in reversed(part._fields))
        elif isinstance(part, tuple):
            pending.extend(reversed(part))


# ---------------------------------------------------------------- records without a name


def _nameless(checked: Program, flows: tuple[ir.Flow, ...]) -> Iterator[tuple[str, Record]]:
    """Yield the nameless records of a program, inner ones first, with a name for the class that each becomes."""
    items: tuple[program.Tool | program.Agent, ...] = (*checked.tools, *checked.agents)
    for item in items:
        yield from _records_in(item.name, (item.returns, *(param.type for param in item.params)))
    for flow in flows:
        yield from _records_in(flow.title, (flow.returns, *(param.type for param in flow.params)))
    for flow in flows:
        yield from _records_in(flow.title, _types_in(flow.body))


def _types_in(body: ir.Block) -> Iterator[Type]:
    """Yield the types that the text of a function may have to name."""
    for part in _parts(body):
        match part:
            case ir.MakeRecord():
                yield part.type
            case ir.Const(type=Record() as kind):
                yield kind
            case ir.Assign(declared=declared) | ir.Await(declared=declared) | ir.Join(declared=declared):
                if declared is not None:
                    yield declared
            case ir.Declare():
                yield part.declared
            case ir.Function():
                yield from part.returns
                for param in part.params:
                    yield from param.types
            case _:
                pass


def _records_in(owner: str, kinds: Iterable[Type]) -> Iterator[tuple[str, Record]]:
    hint = "".join(word.capitalize() for word in owner.split("_")) + "Result"
    for kind in kinds:
        found: list[Record] = []
        pending = [same_class(kind)]
        while pending:
            match pending.pop():
                case Optional(inner=inner) | List(element=inner):
                    pending.append(inner)
                case Record(name=None, fields=fields) as record:
                    found.append(record)
                    pending += [inner for _, inner in fields]
                case _:
                    pass
        for record in reversed(found):
            yield hint, record
