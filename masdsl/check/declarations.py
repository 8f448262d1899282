"""Agents and tools: their parameters, outputs and attributes."""

from __future__ import annotations

from masdsl.check.context import Callee, Frame, Statics
from masdsl.check.expressions import expect
from masdsl.check.grants import check_grant
from masdsl.check.literals import as_value
from masdsl.check.program import Agent, Param, Tool, Value
from masdsl.check.prompts import check_prompt
from masdsl.check.resolve import resolve, visible
from masdsl.check.scope import Declared, Names
from masdsl.config import DEFAULT_TIER, DESIGN, Config, NoModel, find_model
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


AGENTS = (ast.Agent, ast.Variant)
NO_STATICS: Statics = {}


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
        frame.found(node.name, kind)
        checked.append(Param(name, kind, optional, default, span=node.name.span))
    return tuple(checked)


def output(frame: Frame, node: ast.Output, what: str) -> tuple[Type, bool, Value]:
    """Return the type that a callee gives, whether it has a default, and the default."""
    kind = resolve(frame, node.type)
    if node.default is None:
        return kind, False, None
    return kind, True, constant(frame, node.default, kind, f"the `else` of {what}")


def constant(frame: Frame, node: ast.Literal | ast.Var, kind: Type, place: str) -> Value:
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
    return frame.context.once(frame.context.tools, id(node), lambda: _tool(frame, declared, node))


def _tool(frame: Frame, declared: Declared, node: ast.Tool) -> Tool:
    home = Frame(declared.home, frame.context)
    name = node.name.text
    returns, has_default, default = output(home, node.output, f"tool `{name}`")
    attrs = attributes(home, node.attrs, f"tool `{name}`")
    grant = frame.context.config.tools.get(node.source.value)
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
        designs=grant is not None and grant.kind == DESIGN,
        span=node.span,
    )
    check_grant(home, node, checked)
    return checked


def agent(frame: Frame, declared: Declared, statics: Statics = NO_STATICS) -> Agent:
    """Return the checked agent for these static arguments, from the table if it was reached before."""
    key = (id(declared.node), tuple(sorted(statics.items(), key=lambda item: item[0])))

    def made() -> Agent:
        checked = agent_alone(frame, declared, statics)
        return checked.replace(key=frame.context.key(checked.name))

    return frame.context.once(frame.context.agents, key, made)


def agent_alone(frame: Frame, declared: Declared, statics: Statics) -> Agent:
    """Return a checked agent without a key, which the program need not have."""
    node = declared.node
    home = Frame(declared.home, frame.context)
    home.statics = statics
    name = node.name.text
    made = _agent(home, node) if isinstance(node, ast.Agent) else _variant(home, declared, statics)
    doc = declared.home.doc(node) or made.doc
    return made.replace(
        name=name,
        module=declared.home.name,
        declaration=f"{declared.home.name}:{name}",
        doc=doc,
        tool_calls=bool(made.tools) and _calls_tools(frame.context.config, made.model, made.is_model_name),
        span=node.span,
    )


def _agent(home: Frame, node: ast.Agent) -> Agent:
    name = node.name.text
    checked_params = params(home, node.params)
    returns, has_default, default = output(home, node.output, f"agent `{name}`")
    plain = Agent(
        key="",
        name=name,
        module="",
        params=checked_params,
        returns=returns,
        has_default=has_default,
        default=default,
        model=None,
        is_model_name=False,
        role=None,
        temperature=None,
        max_tokens=None,
        retries=0,
        timeout=None,
        tools=(),
        steps=0,
        prompt="",
        unmentioned=(),
        doc="",
    )
    return _with_settings(home, plain, node.attrs, node.prompt, f"agent `{name}`")


def _variant(home: Frame, declared: Declared, statics: Statics) -> Agent:
    node = declared.node
    assert isinstance(node, ast.Variant)
    base = base_of(home, declared)
    assert base is not None, "a variant without a base is not reached"
    made = agent_alone(home, base, statics)
    return _with_settings(home, made, node.attrs, node.prompt, f"agent `{node.name.text}`")


def _with_settings(
    home: Frame, made: Agent, nodes: tuple[ast.Attr, ...], prompt: ast.StrLit | None, what: str
) -> Agent:
    """Return an agent with the attributes, and the prompt, that are written."""
    attrs = attributes(home, nodes, what)
    changes: dict[str, object] = {}
    for key, field in (("temp", "temperature"), ("timeout", "timeout")):
        if key in attrs:
            changes[field] = _number(attrs[key])
    for key, field in (("max", "max_tokens"), ("retry", "retries")):
        if key in attrs:
            changes[field] = int(_number(attrs[key]) or 0)
    if "on" in attrs:
        changes["model"], changes["is_model_name"] = _model(home, attrs["on"])
    if "role" in attrs and isinstance(role := attrs["role"].value, ast.StrLit):
        changes["role"] = role.value
    tools = _tools(home, attrs["tools"]) if "tools" in attrs else made.tools
    if "steps" in attrs:
        changes["steps"] = int(_number(attrs["steps"]) or 1)
        if not tools:
            advice = "add `tools [..]` or remove it"
            home.report(BadAttribute("steps", "is given without `tools`", advice, span=attrs["steps"].span))
    steps = changes.pop("steps", made.steps or DEFAULT_STEPS) if tools else 0
    changes |= {"tools": tools, "steps": steps}
    if prompt is not None:
        kinds = {param.name: param.type for param in made.params}
        info = check_prompt(prompt.value, kinds, home.scope.source, prompt.span, home.report)
        changes |= {"prompt": prompt.value, "unmentioned": info.unmentioned, "parts": info.parts}
    return made.replace(**changes)


def base_of(frame: Frame, declared: Declared) -> Declared | None:
    """Return the agent that a variant is like; one that there is not is reported, and gives None."""
    node = declared.node
    assert isinstance(node, ast.Variant)
    home = Frame(declared.home, frame.context)
    name = node.base
    found = declared.home.names.get(name.text)
    if found is None:
        if name.text not in declared.home.missing:
            known = [known for known, one in declared.home.names.items() if isinstance(one.node, AGENTS)]
            home.report(UndefinedCallee(name.text, nearest(name.text, known), span=name.span))
    elif not isinstance(found.node, AGENTS):
        home.report(NotAValue(name.text, f"{found.what}, and here an agent is meant", span=name.span))
    elif visible(home, found, name.span):
        return found
    return None


def head_of(frame: Frame, declared: Declared) -> ast.Agent | ast.Tool | ast.Flow | None:
    """Return what says the parameters of something that can be called: its node, or the agent that it is like.

    None for what cannot be called, and for a variant of nothing, which is reported.
    """
    node = declared.node
    while isinstance(node, ast.Variant):
        base = base_of(frame, declared)
        if base is None:
            return None
        declared, node = base, base.node
    return node if isinstance(node, ast.Agent | ast.Tool | ast.Flow) else None


def _calls_tools(config: Config, model: str | None, is_model_name: bool) -> bool:
    try:
        return find_model(config, model or DEFAULT_TIER, tier=not is_model_name).has_tool_calls
    except NoModel:
        return False


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
