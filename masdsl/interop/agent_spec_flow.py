"""One flow of a program as the graph of an Agent Spec flow: nodes, ways between them, and their data.

A name that is bound in several places has several sources: an input takes what reached it last, so that whichever node
ran last before the reader counts, as with names here. A loop is a way back, with a count in front.
"""

from __future__ import annotations

from typing import Any

from masdsl.check import program
from masdsl.check.program import Flow
from masdsl.check.uses import reads, statements_of
from masdsl.interop.agent_spec_parts import (
    NEXT,
    OTHERWISE,
    VALUE,
    Component,
    Place,
    Refused,
    component,
    control_edge,
    data_edge,
    known,
    params_of,
    property_of,
    reference,
)
from masdsl.interop.agent_spec_steps import BODY, ITEMS, KEY, ROUND, Callees, Env, Exit, Places, StepGraph
from masdsl.interop.agent_spec_values import YES
from masdsl.interop.langgraph_values import locals_of
from masdsl.types import Bool, Int, List, Optional, Record, Type

__all__ = ["Callees", "FlowGraph"]


class FlowGraph(StepGraph):
    """Writes one flow; `refused` has what of it does not translate."""

    def component(self) -> Component:
        """Return the flow, valid where nothing was refused."""
        flow = self._flow
        inputs = params_of(flow.params)
        start = component("StartNode", self._key("start"), "start", inputs=inputs, outputs=inputs, branches=[NEXT])
        self._add(start)
        self._block(flow.body, {param.name: (Place(start["id"], param.name),) for param in flow.params})
        parts = {"start_node": reference(start), "nodes": [reference(node) for node in self._nodes]}
        data = dict.fromkeys((one, target) for place, target in self._data for one in self._sources(place))
        self._fill_types(data)
        edges = [data_edge(flow.key, one, target) for one, target in data]
        parts |= {"control_flow_connections": self._control, "data_flow_connections": edges}
        parts |= {"$referenced_components": {node["id"]: node for node in self._nodes}}
        outputs: list[Any] = next((node["outputs"] for node in self._nodes if node["component_type"] == "EndNode"), [])
        made = component("Flow", flow.key, flow.key, inputs=inputs, outputs=outputs, **parts)
        return known(made, body=True) if self._is_body else made

    # ------------------------------------------------------------ statements

    def _block(self, block: program.Block, env: Env) -> Env:
        """Write statements; return where names come from behind them."""
        env = dict(env)
        for node in block:
            if not self._open:
                break  # every way has returned or left
            try:
                self._statement(node, env)
            except Refused as refused:
                self.refused.append(refused)
                for inner in statements_of((node,)):  # what reads it is not refused as well
                    if isinstance(inner, program.Bind | program.Append):
                        env.setdefault(inner.name, ())
        return env

    def _statement(self, node: program.Statement, env: Env) -> None:
        match node:
            case program.Bind(path=path, name=name, value=value, type=kind):
                env[name] = self._value(self._name(path), value, env, kind, name)
                if isinstance(kind, Optional) or isinstance(value.type, Optional):
                    self._maybe.add(name)
            case program.Append(name=name, value=value, type=kind):
                so_far = program.Local(name, List(kind.element, 0, kind.high))
                both = program.Binary(so_far, "+", value, kind, span=node.span)
                says = {"appends": name}
                env[name] = self._compute(f"{name}.append", both, env, kind, name, **says)
            case program.Return(path=path, value=value):
                self._return(node, self._name(path), value, env)
            case program.If():
                self._if(node, env)
            case program.Match():
                self._match(node, env)
            case program.Until(condition=condition):
                choice = self._choice("until", condition, env, until=True)
                exits, envs = self._leave[-1]
                exits.append(Exit(choice, YES))
                envs.append(dict(env))
                self._open = [Exit(choice, OTHERWISE)]
            case program.Loop(path=path, times=times):
                limit = program.Const(times, Int(), span=node.span)
                self._loop(self._name(path), limit, {}, node, env, {"times": times, **_label(path, "loop")})
            case program.For():
                self._for(node, env)
            case program.Within():
                why = "nothing there refuses a step for lack of budget"
                instead = "take the steps out of the `within`, and bound them by the count of their loop"
                raise Refused(self._flow.module, node.span, "`within`", why, instead)

    def _return(self, node: program.Return, path: str, value: program.Rhs, env: Env) -> None:
        flow = self._flow
        gives: dict[str, Places] = {}
        kinds: dict[str, Type] = {VALUE: flow.returns}
        if self._named:
            assert isinstance(value, program.MakeRecord) and isinstance(flow.returns, Record)
            kinds = dict(flow.returns.fields)
            for (field, _), part in zip(value.type.fields, value.values, strict=True):
                gives[field] = self._argument(f"{path}.{field}", part, env, kinds[field])
        elif isinstance(value, program.Local):
            gives[VALUE] = self._argument(path, value, env, flow.returns)
        else:
            gives[VALUE] = self._value(path, value, env, flow.returns, "")
        outputs = [property_of(name, kinds[name]) for name in gives]
        key = self._key("end")
        name = key.removeprefix(f"{flow.key}.")
        end = component("EndNode", key, name, inputs=outputs, outputs=outputs, branches=[])
        self._add({**end, "branch_name": NEXT})
        for title, sources in gives.items():
            self._feed(end, title, sources)
        self._open = []

    def _body(self, path: str, value: program.Attempt, kind: Type) -> tuple[Component, dict[str, Type]]:
        """Return the flow that is one right-hand side, and the names that it takes."""
        wanted = reads(value)
        names = {name: inner for name, inner in locals_of(value).items() if name in wanted}
        key = f"{self._flow.key}.{path}.{BODY}"
        params = tuple(program.Param(name, inner, False, None) for name, inner in names.items())
        body = (program.Return(f"{key}.return", value, kind, span=value.span),)
        flow = Flow(key, key, self._flow.module, params, kind, False, None, (), None, body, "", span=value.span)
        graph = FlowGraph(flow, self._callees, is_body=True)
        made = graph.component()
        self.refused += graph.refused
        return made, names

    # ------------------------------------------------------------ branches and loops

    def _if(self, node: program.If, env: Env) -> None:
        path = self._name(node.path)
        ends: list[Exit] = []
        envs: list[Env] = []
        for number, branch in enumerate(node.branches):
            says: dict[str, Any] = {"elif": True} if number else dict(_label(node.path, "if"))
            says |= {"else": True} if node.orelse and number == len(node.branches) - 1 else {}
            choice = self._choice(path if not number else f"{path}.elif", branch.condition, env, **says)
            self._open = [Exit(choice, YES)]
            self._arm(branch.body, env, ends, envs)
            self._open = [Exit(choice, OTHERWISE)]
        self._arm(node.orelse, env, ends, envs)
        self._open = ends
        env.update(_merged(envs))

    def _arm(self, block: program.Block, env: Env, ends: list[Exit], envs: list[Env]) -> None:
        behind = self._block(block, env)
        if self._open:
            ends += self._open
            envs.append(behind)

    def _match(self, node: program.Match, env: Env) -> None:
        path = self._name(node.path)
        kind = node.subject.type
        word = self._argument(f"{path}.subject", node.subject, env, kind)
        branches = {word: arm.words[0] for arm in node.arms for word in arm.words}
        asked = [property_of(KEY, kind)]
        key = self._key(path)
        names = sorted({OTHERWISE, *branches.values()})
        made = component(
            "BranchingNode", key, key.removeprefix(f"{self._flow.key}."), inputs=asked, outputs=[], branches=names
        )
        made = {**made, "mapping": branches}
        label = _label(node.path, "match")
        self._add(known(made, **label) if label else made)
        self._feed(made, KEY, word)
        ends: list[Exit] = []
        envs: list[Env] = []
        for number, arm in enumerate(node.arms):
            self._open = [Exit(made, arm.words[0])]
            if node.orelse is None and number == len(node.arms) - 1:
                self._open.append(Exit(made, OTHERWISE))  # the arms have every word: nothing else comes
            self._arm(arm.body, env, ends, envs)
        if node.orelse is not None:
            self._open = [Exit(made, OTHERWISE)]
            self._arm(node.orelse, env, ends, envs)
        self._open = ends
        env.update(_merged(envs))

    def _for(self, node: program.For, env: Env) -> None:
        path = self._name(node.path)
        kind = node.items.type
        assert isinstance(kind, List)
        own = {ITEMS: self._argument(f"{path}.{ITEMS}", node.items, env, kind)}
        all_items = program.Local(ITEMS, kind)
        limit = program.Builtin("len", (all_items,), Int())
        place = program.Binary(program.Local(ROUND, Int()), "-", program.Const(1, Int()), Int())
        item = program.GetItem(all_items, place, node.var_type)
        self._loop(path, limit, own, node, env, {"for": node.var, **_label(node.path, "for")}, (node.var, item))

    def _loop(
        self,
        path: str,
        limit: program.Expr,
        own: Env,
        node: program.Loop | program.For,
        env: Env,
        says: dict[str, Any],
        item: tuple[str, program.Expr] | None = None,
    ) -> None:
        """Write a count, a way back to it, and the body, which names carry from one round to the next.

        `own` is where the loop's own values come from; `item` is the name that each round binds, and its value.
        """
        begin = self._compute(f"{path}.begin", program.Const(0, Int()), env, loop=says)
        now = program.Local(ROUND, Int())
        counted = program.Binary(now, "+", program.Const(1, Int()), Int())
        again = Place(f"\0{path}", ROUND)
        count = self._compute(f"{path}.{ROUND}", counted, {ROUND: (*begin, again)}, part=True)
        self._again[again] = count
        header = self._nodes[-1]
        own = {**own, ROUND: count}
        choice = self._choice(path, program.Binary(now, "<=", limit, Bool()), own)
        self._open = [Exit(choice, YES)]
        inner = dict(env)
        carried = [one.name for one in statements_of(node.body) if isinstance(one, program.Bind | program.Append)]
        marks = {name: Place(f"\0{path}", f"={name}") for name in dict.fromkeys(carried) if name in env}
        for name, mark in marks.items():
            inner[name] = (*env[name], mark)
        at_head = dict(inner)
        if item is not None:
            if isinstance(item[1].type, Optional):
                self._maybe.add(item[0])
            inner[item[0]] = self._compute(f"{path}.item", item[1], own, None, item[0], item=True)
        self._leave.append(([Exit(choice, OTHERWISE)], [at_head]))
        behind = self._block(node.body, inner)
        self._control += [control_edge(self._flow.key, one.node, one.branch, header) for one in self._open]
        for name, mark in marks.items():
            self._again[mark] = behind[name] if self._open else ()
        self._open, envs = self._leave.pop()
        env.update(_merged(envs))


def _label(path: str, word: str) -> dict[str, str]:
    """Return the label of a construct, if it has one."""
    name = path.rpartition(".")[2]
    return {} if name == word or (name.startswith(f"{word}_") and name[len(word) + 1 :].isdigit()) else {"label": name}


def _merged(envs: list[Env]) -> Env:
    """Return where names come from where several ways meet."""
    found: dict[str, dict[Place, None]] = {}
    for env in envs:
        for name, places in env.items():
            found.setdefault(name, {}).update(dict.fromkeys(places))
    return {name: tuple(places) for name, places in found.items()}
