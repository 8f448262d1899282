"""Which steps a program has, what is around them, and which value goes where: the bare graph, without costs.

Names are followed through assignments, branches and loops: what a name may hold is the set of vertices whose values it
was made of. A name that a loop hands on is a vertex of its own while several steps give it a value; with one, that step
stands for it (`names.contracted`).
"""

from __future__ import annotations

from typing import Final

from masdsl.check.program import (
    Append,
    Attempt,
    Bind,
    Block,
    Each,
    Fallback,
    Flow,
    For,
    If,
    Invoke,
    Loop,
    Match,
    Program,
    Return,
    Rhs,
    Sample,
    Until,
    Within,
)
from masdsl.check.relations import show
from masdsl.check.uses import expressions_of, invokes, program_callees, statements_of
from masdsl.graph import model
from masdsl.graph.blocks import is_plain, limits_text, most_items, short, steps_of, working
from masdsl.graph.frames import Frame, Step, Walked
from masdsl.graph.model import Cluster, Place, Vertex
from masdsl.graph.names import Env, Sources, contracted, is_used, made_of, merged, readings, written
from masdsl.graph.sketch import Sketch

MANY: Final = 2
"""A value that only computes and is made of more vertices than so many is one itself."""


def walk(program: Program, flows: tuple[Flow, ...], depth: int) -> Walked:
    """Return the bare graph of flows that a run may begin with.

    Flows that they call are unfolded `depth` levels deep, where there is any step of an agent or a tool in them.
    Raises TooLarge.
    """
    walker = _Walker(program, depth)
    for flow in flows:
        walker.entry(flow)
    return walker.walked()


class _Walker:
    def __init__(self, program: Program, depth: int) -> None:
        self._callees = program_callees(program)
        self._tools = {tool.key: tool for tool in program.tools}
        self._working = working(program)
        self._depth = depth
        self._to = Sketch(program)
        self._steps: dict[str, Step] = {}
        self._constructs: dict[str, tuple[str, str]] = {}
        self._folded = 0

    def walked(self) -> Walked:
        edges = contracted(self._to.vertices, list(self._to.edges.values()))
        kept = tuple(
            vertex for vertex in self._to.vertices.values() if vertex.kind != model.CARRY or is_used(vertex, edges)
        )
        ids = {vertex.id for vertex in kept} | self._to.clusters.keys()
        return Walked(
            kept,
            tuple(self._to.clusters.values()),
            tuple(edge for edge in edges if edge.source in ids and edge.target in ids),
            self._steps,
            self._constructs,
            self._folded,
        )

    # ------------------------------------------------------------ flows

    def entry(self, flow: Flow) -> None:
        """Walk through a flow that a run begins with; its inputs and its result are vertices."""
        place = self._to.place(flow.module, flow.span)
        statics = ", ".join(f"{name}: {value}" for name, value in flow.statics)
        title = f"flow {flow.name}" + (f"[{statics}]" if statics else "")
        self._to.clusters[flow.key] = Cluster(flow.key, model.RUN, title, "", place)
        env: Env = {}
        for param in flow.params:
            name = f"{flow.key}({param.name})"
            kind = show(param.type)
            self._to.add(
                Vertex(name, model.INPUT, param.name, "", flow.key, self._to.place(flow.module, param.span), kind)
            )
            env[param.name] = {name: False}
        frame = Frame(flow, flow.key, flow.key, self._depth, 1, "", [], {}, False)
        self._block(flow.body, env, frame)
        last = flow.body[-1] if flow.body else None
        at = place if last is None else self._to.place(flow.module, last.span)
        result = Vertex(f"{flow.key}()", model.RESULT, "result", "", flow.key, at, show(flow.returns))
        self._to.add(result)
        self._to.join(frame.returned, result.id, flow.returns)

    def _called(self, node: Invoke, flow: Flow, name: str, repeat: str, env: Env, frame: Frame) -> Sources:
        """Walk through a flow that a step calls; return what its value is made of."""
        address = frame.at(node.path)
        title = f"{name} = {repeat} {flow.name}" if repeat else f"{name} = {flow.name}"
        place = self._to.place(frame.flow.module, node.span)
        self._to.cluster(address, model.CALLED, title, place, frame.cluster, repeat)
        passed = {name: made_of(value, env) for name, value in node.arguments}
        inner = {param.name: passed.get(param.name, {}) for param in flow.params}
        inside = Frame(flow, address, address, frame.depth - 1, 1, "", [], {}, False)
        self._block(flow.body, inner, inside)
        if len(inside.returned) <= MANY:
            return dict(inside.returned) or {address: False}
        result = f"{address}()"
        self._to.add(Vertex(result, model.RESULT, node.path.rpartition(".")[2], "", address, place, show(flow.returns)))
        self._to.join(inside.returned, result, flow.returns)
        return {result: False}

    # ------------------------------------------------------------ statements

    def _block(self, block: Block, env: Env, frame: Frame) -> bool:
        """Walk through a block; `env` then holds what names are made of behind it. Say whether control gets there."""
        for number, node in enumerate(block):
            match node:
                case Bind():
                    env[node.name] = self._bound(node, self._rhs(node.value, node.name, env, frame), env, frame)
                case Append():
                    sources = env.get(node.name, {}) | made_of(node.value, env)
                    env[node.name] = self._bound(node, sources, env, frame)
                case Until():
                    self._until(node, env, frame, number)
                case Return():
                    self._return(node, env, frame)
                    return False
                case Loop() | For():
                    self._loop(node, env, frame)
                case Within():
                    address = frame.at(node.path)
                    title = f"within {limits_text(node.limits)}"
                    self._to.cluster(
                        address, model.WITHIN, title, self._to.place(frame.flow.module, node.span), frame.cluster
                    )
                    self._constructs[address] = (frame.flow.key, node.path)
                    if not self._block(node.body, env, frame._replace(cluster=address)):
                        return False
                case If():
                    if not self._if(node, env, frame):
                        return False
                case Match():
                    if not self._match(node, env, frame):
                        return False
        return True

    def _bound(self, node: Bind | Append, sources: Sources, env: Env, frame: Frame) -> Sources:
        """Return what a name is made of: what its value is, or, where that is much, a vertex that stands for it."""
        if len(sources) <= MANY or steps_of(node):
            return sources
        place = self._to.place(frame.flow.module, node.span)
        made = self._to.free(frame.at(node.path) if isinstance(node, Bind) else f"{frame.cluster}.{node.name}+=")
        sign = "=" if isinstance(node, Bind) else "+="
        text = f"{node.name} {sign} {self._to.text(node.value, frame.flow)}"
        self._to.add(Vertex(made, model.VALUE, node.name, short(text), frame.cluster, place, show(node.type)))
        self._to.reads(node.value, made, env)
        if isinstance(node, Append):
            for source, back in env.get(node.name, {}).items():
                self._to.edge(source, made, model.DATA, node.name, node.type, back)
        return {made: False}

    def _until(self, node: Until, env: Env, frame: Frame, number: int) -> None:
        name = self._to.free(f"{frame.loop}.until")
        text = self._to.text(node.condition, frame.flow)
        self._to.add(
            Vertex(name, model.UNTIL, "until", text, frame.cluster, self._to.place(frame.flow.module, node.span))
        )
        self._to.reads(node.condition, name, env)
        frame.exits.append({key: dict(sources) for key, sources in env.items()})

    def _return(self, node: Return, env: Env, frame: Frame) -> None:
        if invokes(node.value):
            frame.returned.update(self._rhs(node.value, "return", env, frame))
        elif not frame.nested:
            frame.returned.update(made_of(node.value, env))
        else:
            name = self._to.free(frame.at(node.path))
            text = self._to.text(node.value, frame.flow)
            place = self._to.place(frame.flow.module, node.span)
            self._to.add(Vertex(name, model.LEAVE, "return", text, frame.cluster, place, show(node.type)))
            self._to.reads(node.value, name, env)
            frame.returned[name] = False

    def _loop(self, node: Loop | For, env: Env, frame: Frame) -> None:
        address = frame.at(node.path)
        place = self._to.place(frame.flow.module, node.span)
        if isinstance(node, Loop):
            title, times = f"loop {node.times}", node.times
        else:
            title, times = f"for {node.var} in {self._to.text(node.items, frame.flow)}", most_items(node.items.type)
        label = node.path.rpartition(".")[2]
        title = title if label.partition("_")[0] in ("loop", "for") else f"{label}: {title}"
        if is_plain((node,)):
            self._value(address, title, place, (node,), env, frame)
            return
        self._to.cluster(address, model.LOOP if isinstance(node, Loop) else model.FOR, title, place, frame.cluster)
        self._constructs[address] = (frame.flow.key, node.path)
        before = {key: dict(sources) for key, sources in env.items()}
        carried = [name for name in written(node.body) if name in before]
        for name in carried:
            env[name] = before[name] | {f"{address}@{name}": True}
        if isinstance(node, For):
            env[node.var] = made_of(node.items, before)
        exits: list[dict[str, Sources]] = []
        inside = frame._replace(cluster=address, times=frame.times * times, loop=address, exits=exits, nested=True)
        goes_on = self._block(node.body, env, inside)
        ends = dict(env) if goes_on else {}
        if goes_on:
            exits.append(ends)
        for name in carried:
            held = f"{address}@{name}"
            self._to.add(Vertex(held, model.CARRY, name, "", address, place))
            given = {source: back for source, back in ends.get(name, {}).items() if source != held}
            for source in given:
                self._to.edge(source, held, model.DATA, name, None)
            behind: Sources = {held: False}
            for left in exits:
                behind |= {one: back for one, back in left.get(name, {}).items() if one not in given and one != held}
            if isinstance(node, For):
                behind |= before[name]
            env[name] = behind

    def _value(self, address: str, text: str, place: Place, block: Block, env: Env, frame: Frame) -> str:
        """Add a vertex for a block that only computes; the names that it writes are made of it."""
        name = self._to.free(f"{address}=")
        self._to.add(Vertex(name, model.VALUE, "", short(text), frame.cluster, place))
        for statement in statements_of(block):
            for part in expressions_of(statement):
                self._to.reads(part, name, env)
        for given in written(block):
            env[given] = {name: False}
        return name

    # ------------------------------------------------------------ branches

    def _if(self, node: If, env: Env, frame: Frame) -> bool:
        address = frame.at(node.path)
        after: list[Env] = []
        before = ""
        for number, branch in enumerate(node.branches):
            name = self._to.free(f"{address}?" if number == 0 else f"{address}.elif{number}?")
            text = self._to.text(branch.condition, frame.flow)
            place = self._to.place(frame.flow.module, branch.condition.span)
            self._to.add(Vertex(name, model.CHOICE, "if", text, frame.cluster, place))
            self._to.reads(branch.condition, name, env)
            if before:
                self._to.edge(before, name, model.DECIDES, "no", None)
            self._branch(branch.body, f"{address}/{number}", text, name, "yes", env, frame, after)
            before = name
        self._branch(node.orelse, f"{address}/else", "else", before, "no", env, frame, after)
        return merged(env, after)

    def _match(self, node: Match, env: Env, frame: Frame) -> bool:
        address = frame.at(node.path)
        name = self._to.free(f"{address}?")
        text = self._to.text(node.subject, frame.flow)
        self._to.add(
            Vertex(name, model.CHOICE, "match", text, frame.cluster, self._to.place(frame.flow.module, node.span))
        )
        self._to.reads(node.subject, name, env)
        after: list[Env] = []
        for arm in node.arms:
            words = " | ".join(arm.words)
            self._branch(arm.body, f"{address}/{arm.words[0]}", words, name, words, env, frame, after)
        if node.orelse is not None:
            self._branch(node.orelse, f"{address}/else", "else", name, "else", env, frame, after)
        return merged(env, after)

    def _branch(
        self, block: Block, address: str, title: str, choice: str, word: str, env: Env, frame: Frame, after: list[Env]
    ) -> None:
        inside = {key: dict(sources) for key, sources in env.items()}
        if not block:
            after.append(inside)
            return
        place = self._to.place(frame.flow.module, block[0].span)
        if is_plain(block):
            text = "; ".join(self._to.text(statement, frame.flow) for statement in block)
            self._to.edge(choice, self._value(address, text, place, block, inside, frame), model.DECIDES, word, None)
            after.append(inside)
            return
        address = self._to.free(address)
        count = len(self._to.vertices), len(self._to.clusters)
        self._to.cluster(address, model.BRANCH, title, place, frame.cluster)
        if self._block(block, inside, frame._replace(cluster=address, nested=True)):
            after.append(inside)
        own = list(self._to.vertices.values())[count[0] :]
        if len(own) == 1 and len(self._to.clusters) == count[1] + 1:
            del self._to.clusters[address]
            self._to.vertices[own[0].id] = own[0]._replace(cluster=frame.cluster)
            address = own[0].id
        self._to.edge(choice, address, model.DECIDES, word, None)

    # ------------------------------------------------------------ right-hand sides

    def _rhs(self, node: Rhs, name: str, env: Env, frame: Frame) -> Sources:
        """Return what a right-hand side is made of; its steps become vertices, or clusters."""
        steps = invokes(node)
        if not steps:
            return made_of(node, env)
        repeat, times, asked = "", 1, {}
        body: Attempt
        if isinstance(node, Sample):
            repeat, times, body = f"{node.count} of", node.count, node.body
        elif isinstance(node, Each):
            items = self._to.text(node.items, frame.flow)
            repeat, times, body = f"each {node.var} in {items}", most_items(node.items.type), node.body
            env = {**env, node.var: made_of(node.items, env)}
            if node.condition is not None:
                asked = dict(readings(node.condition, env))
        else:
            body = node
        found: Sources = {}
        before: str = ""
        options = body.options if isinstance(body, Fallback) else (body,)
        for option in options:
            if not isinstance(option, Invoke):
                found |= made_of(option, env)
                continue
            otherwise = [self._to.text(one, frame.flow) for one in options if not isinstance(one, Invoke)]
            notes = tuple(f"else {text}" for text in otherwise) if option is steps[-1] else ()
            given = self._step(option, name, repeat, times, notes, env, frame)
            address = frame.at(option.path)
            for label, (sources, kind) in asked.items():
                for source, back in sources.items():
                    self._to.edge(source, address, model.DATA, label, kind, back)
            if before:
                self._to.edge(before, address, model.OTHERWISE, "if it fails", None)
            before = address
            found |= given
        return found

    def _step(
        self, node: Invoke, name: str, repeat: str, times: int, notes: tuple[str, ...], env: Env, frame: Frame
    ) -> Sources:
        address = frame.at(node.path)
        callee = self._callees[node.callee]
        made = Step(frame.flow, node, frame.times * times)
        self._steps[address] = made
        place = self._to.place(frame.flow.module, node.span)
        if isinstance(callee, Flow) and callee.key in self._working:
            if frame.depth > 0:
                return self._called(node, callee, name, repeat, env, frame)
            self._folded += 1
        kind = node.kind
        self._to.add(
            Vertex(
                address,
                kind,
                name,
                callee.name,
                frame.cluster,
                place,
                show(callee.returns),
                repeat,
                made.times,
                about=callee.doc,
                notes=notes,
            )
        )
        for _, value in node.arguments:
            self._to.reads(value, address, env)
        for key in getattr(callee, "tools", ()):
            tool = self._tools[key]
            lent = f"{address}.{tool.name}"
            about = self._to.place(tool.module, tool.span)
            self._to.add(Vertex(lent, model.LENT, tool.name, tool.granted_as, frame.cluster, about, show(tool.returns)))
            self._to.edge(address, lent, model.LENDS, "", None)
        return {address: False}
