"""Agents and tools: their parameters, outputs and attributes."""

from __future__ import annotations

from masdsl.check.context import Callee, Frame
from masdsl.check.expressions import expect
from masdsl.check.grants import check_grant
from masdsl.check.literals import as_value
from masdsl.check.program import Agent, Param, Tool, Value
from masdsl.check.prompts import check_prompt
from masdsl.check.resolve import resolve
from masdsl.check.scope import Declared, Names
from masdsl.diagnostics.names import (
    DeclaredBelow,
    DuplicateName,
    NotAValue,
    UndefinedCallee,
    UnknownTier,
)
from masdsl.diagnostics.suggest import nearest
from masdsl.diagnostics.types import BadAttribute
from masdsl.node import Span
from masdsl.syntax import ast
from masdsl.types import Optional, Type, Unknown

MAX_RETRIES = 10
MAX_STEPS = 32
DEFAULT_STEPS = 4
MAX_TIMEOUT = 86_400
MAX_TEMPERATURE = 2.0
NUMBER_RANGES: dict[str, tuple[float, float]] = {
    "temp": (0, MAX_TEMPERATURE),
    "max": (1, 1_000_000),
    "retry": (0, MAX_RETRIES),
    "timeout": (0.001, MAX_TIMEOUT),
    "steps": (1, MAX_STEPS),
}


def params(frame: Frame, nodes: tuple[ast.Param, ...], skip: frozenset[str] = frozenset()) -> tuple[Param, ...]:
    """Return the checked parameters (`skip` names those that take agents and are resolved away)."""
    first: dict[str, Span] = {}
    checked: list[Param] = []
    for node in nodes:
        name = node.name.text
        if name in first:
            frame.report(DuplicateName(name, "a parameter", first[name], span=node.name.span))
        first.setdefault(name, node.name.span)
        if name in skip or isinstance(node.type, ast.AgentType):
            continue
        kind = resolve(frame, node.type)
        default = constant(frame, node.default, kind, f"the default of `{name}`") if node.default is not None else None
        optional = node.default is not None or isinstance(kind, Optional)
        checked.append(Param(name, kind, optional, default, span=node.name.span))
    return tuple(checked)


def output(frame: Frame, node: ast.Output, what: str) -> tuple[Type, bool, Value]:
    """Return the type that a callee gives, whether it has a default, and the default."""
    kind = resolve(frame, node.type)
    if node.default is None:
        return kind, False, None
    return kind, True, constant(frame, node.default, kind, f"the `else` of {what}")


def constant(frame: Frame, node: ast.Literal, kind: Type, place: str) -> Value:
    """Return the value of a literal of a type."""
    checked = expect(frame, Names(), node, kind, place)
    return None if isinstance(checked.type, Unknown) else as_value(checked)


def attributes(frame: Frame, nodes: tuple[ast.Attr, ...], what: str) -> dict[str, ast.Attr]:
    """Return attributes by key; one that stands twice or is out of range is reported."""
    found: dict[str, ast.Attr] = {}
    for node in nodes:
        if node.key in found:
            frame.report(BadAttribute(node.key, f"stands twice in {what}", "keep one of them", span=node.span))
            continue
        found[node.key] = node
        limits = NUMBER_RANGES.get(node.key)
        if limits and isinstance(node.value, ast.IntLit | ast.FloatLit):
            least, most = limits
            if not least <= node.value.value <= most:
                advice = f"give a number from {least:g} to {most:g}"
                frame.report(BadAttribute(node.key, f"is {node.value.value:g}", advice, span=node.span))
        if node.key == "max" and isinstance(node.value, ast.FloatLit):
            frame.report(BadAttribute("max", "is no whole number", "give a whole number of tokens", span=node.span))
    return found


def tool(frame: Frame, declared: Declared) -> Tool:
    """Return the checked tool, from the table if it was reached before."""
    node = declared.node
    assert isinstance(node, ast.Tool)
    known = frame.context.tools.get(id(node))
    if known is not None:
        return known
    home = Frame(declared.home, frame.context)
    name = node.name.text
    returns, has_default, default = output(home, node.output, f"tool `{name}`")
    attrs = attributes(home, node.attrs, f"tool `{name}`")
    checked = Tool(
        key=frame.context.key(name),
        name=name,
        module=declared.home.name,
        params=params(home, node.params),
        returns=returns,
        has_default=has_default,
        default=default,
        granted_as=node.source.value,
        effect="effect" in attrs,
        timeout=_number(attrs.get("timeout")),
        doc=declared.home.doc(node),
        span=node.span,
    )
    frame.context.tools[id(node)] = checked
    check_grant(home, node, checked)
    return checked


def agent(frame: Frame, declared: Declared) -> Agent:
    """Return the checked agent, from the table if it was reached before."""
    node = declared.node
    assert isinstance(node, ast.Agent)
    known = frame.context.agents.get(id(node))
    if known is not None:
        return known
    home = Frame(declared.home, frame.context)
    name = node.name.text
    checked_params = params(home, node.params)
    returns, has_default, default = output(home, node.output, f"agent `{name}`")
    attrs = attributes(home, node.attrs, f"agent `{name}`")
    tools = _tools(home, attrs.get("tools"))
    steps = attrs.get("steps")
    if steps is not None and not tools:
        home.report(BadAttribute("steps", "is given without `tools`", "add `tools [..]` or remove it", span=steps.span))
    model, is_model_name = _model(home, attrs.get("on"))
    kinds = {param.name: param.type for param in checked_params}
    info = check_prompt(node.prompt.value, kinds, home.scope.source, node.prompt.span, home.report)
    role = attrs["role"].value if "role" in attrs else None
    retries = _number(attrs.get("retry"))
    max_tokens = _number(attrs.get("max"))
    checked = Agent(
        key=frame.context.key(name),
        name=name,
        module=declared.home.name,
        params=checked_params,
        returns=returns,
        has_default=has_default,
        default=default,
        model=model,
        is_model_name=is_model_name,
        role=role.value if isinstance(role, ast.StrLit) else None,
        temperature=_number(attrs.get("temp")),
        max_tokens=None if max_tokens is None else int(max_tokens),
        retries=int(retries or 0),
        timeout=_number(attrs.get("timeout")),
        tools=tools,
        steps=(int(_number(steps) or 1) if steps is not None else DEFAULT_STEPS) if tools else 0,
        prompt=node.prompt.value,
        unmentioned=info.unmentioned,
        doc=declared.home.doc(node),
        parts=info.parts,
        span=node.span,
    )
    frame.context.agents[id(node)] = checked
    return checked


def callee_of(item: Agent | Tool) -> Callee:
    """Return an agent or tool as something that steps call."""
    return Callee("agent" if isinstance(item, Agent) else "tool", item.key, item.name, item.params, item.returns)


def _number(attr: ast.Attr | None) -> float | None:
    if attr is None or not isinstance(attr.value, ast.IntLit | ast.FloatLit):
        return None
    return float(attr.value.value)


def _model(frame: Frame, attr: ast.Attr | None) -> tuple[str | None, bool]:
    if attr is None:
        return None, False
    if isinstance(attr.value, ast.StrLit):
        if not attr.value.value.strip():
            frame.report(BadAttribute("on", "names no model", "name a tier, as in `on fast`", span=attr.value.span))
        return attr.value.value, True
    assert isinstance(attr.value, ast.Name)
    tiers = frame.context.config.tiers
    if attr.value.text not in tiers:
        near = nearest(attr.value.text, tiers)
        frame.report(UnknownTier(attr.value.text, tuple(tiers), near, span=attr.value.span))
    return attr.value.text, False


def _tools(frame: Frame, attr: ast.Attr | None) -> tuple[str, ...]:
    if attr is None or not isinstance(attr.value, tuple):
        return ()
    keys: list[str] = []
    for name in attr.value:
        declared = frame.scope.names.get(name.text)
        known = [known for known, found in frame.scope.names.items() if isinstance(found.node, ast.Tool)]
        if declared is None:
            frame.report(UndefinedCallee(name.text, nearest(name.text, known), span=name.span))
        elif not isinstance(declared.node, ast.Tool):
            frame.report(NotAValue(name.text, f"{declared.what}, and here a tool is meant", span=name.span))
        elif declared.visible_from > name.span.start:
            line = frame.scope.source.position(declared.at.start).line
            frame.report(DeclaredBelow(name.text, line, declared.at, span=name.span))
        else:
            keys.append(tool(frame, declared).key)
    return tuple(keys)
