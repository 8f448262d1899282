"""The graph of an Agent Spec flow as statements: ways that part and meet are branches, a counted way back is a loop."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from masdsl.interop.agent_spec_expressions import Names, computed, substituted
from masdsl.interop.agent_spec_graph import BY_HAND, NOWHERE, Graph
from masdsl.interop.agent_spec_parts import CAUGHT, NEXT, OTHERWISE, VALUE, Place
from masdsl.interop.agent_spec_read import Component, NotRead, Reader, own, plain_name, unique
from masdsl.interop.agent_spec_types import depth
from masdsl.interop.agent_spec_values import YES
from masdsl.syntax import ast

_STEPS = ("LlmNode", "ToolNode", "FlowNode")
_MAPS = ("MapNode", "ParallelMapNode")


def read_flow(reader: Reader, component: Component) -> str:
    """Read a flow, those that it calls first; return its name. Raises NotRead."""
    key = str(component["id"])
    if key not in reader.flows:
        if key in reader.reading:
            raise NotRead(component, "it calls itself", "write it as a bounded `loop` by hand")
        reader.reading.add(key)
        made = _Flow(reader, component).flow()
        name = plain_name(component["name"])
        taken = any(flow.name.text == name for flow in reader.flows.values())
        reader.flows[key] = made.replace(name=ast.Name(unique(name, reader.taken) if taken else name))
    return reader.flows[key].name.text


class _Flow(Graph):
    """Reads one flow."""

    # ------------------------------------------------------------ the flow

    def flow(self) -> ast.Flow:
        """Return the flow, whose name is still to be chosen."""
        start = self._nodes[self._start]
        params = []
        for one in start.get("inputs") or []:
            place = Place(self._start, str(one["title"]))
            params.append(self._reader.param(self._component, one, self._name(place)))
        statements = self._whole()
        end = next(node for node in self._nodes.values() if node["component_type"] == "EndNode")
        outputs = end.get("outputs") or []
        kinds = [self._reader.type_of(end, one, one["title"]) for one in outputs]
        kind = kinds[0]
        if [one["title"] for one in outputs] != [VALUE]:
            names = [ast.Name(self._reader.title(end, one)) for one in outputs]
            kind = ast.RecordType(tuple(ast.Field(name, kind) for name, kind in zip(names, kinds, strict=True)))
        return ast.Flow(ast.Name("flow"), (), tuple(params), ast.Output(kind, None), None, ast.Block(statements))

    def body(self) -> ast.Rhs:
        """Return the value that a body is, over the titles of its inputs."""
        for one in self._nodes[self._start].get("inputs") or []:
            self._names[self._root(Place(self._start, str(one["title"])))] = str(one["title"])
        statements = self._whole()
        if len(statements) == 1 and isinstance(statements[0], ast.Return):
            return statements[0].value
        raise NotRead(self._component, "it is more than one step", "make it a flow of its own: remove its `metadata`")

    def _whole(self) -> tuple[ast.Statement, ...]:
        self._seen.add(self._start)
        ways = self._ways[self._start]
        if len(ways) != 1:
            raise NotRead(self._nodes[self._start], "it has not one way on", "connect the start once")
        statements, _ = self._block(next(iter(ways.values())), ())
        for key, other in self._nodes.items():
            if key not in self._seen:
                raise NotRead(other, "no way leads there", "remove it, or connect it")
        return tuple(statements)

    def _block(self, at: str, stops: tuple[str, ...]) -> tuple[list[ast.Statement], str | None]:
        """Read statements from a node on; return them, and the stop at which they end (None: they return)."""
        statements: list[ast.Statement] = []
        while at not in stops:
            node = self._nodes[at]
            if at in self._seen:
                why = "its ways cross, or go round in a circle without a count"
                raise NotRead(node, why, "write it as `if`, `match` or a bounded `loop` by hand")
            self._seen.add(at)
            kind = node["component_type"]
            if kind == "EndNode":
                statements.append(self._return(node))
                return statements, None
            if kind == "BranchingNode":
                made, behind = self._branching(node, stops)
                statements += made
                if behind is None:
                    return statements, None
                at = behind
            elif kind == "CatchExceptionNode":
                at = self._catch(node, statements)
            elif "loop" in own(node):
                made_loop, at = self._loop(node, stops)
                statements.append(made_loop)
            elif kind in (*_STEPS, *_MAPS):
                self._step(node, statements)
                if len(self._ways[at]) != 1:
                    raise NotRead(node, "only steps with one way on translate", BY_HAND)
                at = next(iter(self._ways[at].values()))
            else:
                raise NotRead(node, "there is no such step", BY_HAND)
        return statements, at

    def _return(self, end: Component) -> ast.Return:
        gives = self._inputs(end)
        if not gives:
            raise NotRead(end, "the flow gives nothing", "give its end an output")
        if list(gives) == [VALUE]:
            return ast.Return(gives[VALUE])
        values = (
            ast.NamedValue(ast.Name(self._reader.title(end, {"title": name})), value) for name, value in gives.items()
        )
        return ast.Return(ast.RecordLit(None, tuple(values)))

    # ------------------------------------------------------------ steps

    def _step(self, node: Component, statements: list[ast.Statement]) -> None:
        outputs = node.get("outputs") or []
        place = Place(str(node["id"]), str(outputs[0]["title"]) if outputs else VALUE)
        tool = self._reader.find(node["tool"]) if node["component_type"] == "ToolNode" else None
        inputs = self._inputs(node)
        value: ast.Rhs
        if tool is not None and "renders" in own(tool):
            self._prompts[place] = (tool, inputs)
            self._parts[place] = ast.StrLit("")
            return
        if tool is not None and "computes" in own(tool):
            value = computed(self._reader, tool, inputs)
        elif node["component_type"] in _MAPS:
            value = self._map(node, inputs)
        elif node["component_type"] == "LlmNode":
            value = self._agent(node, inputs)
        else:
            callee = (
                read_flow(self._reader, self._reader.find(node["subflow"])) if tool is None else self._reader.tool(tool)
            )
            value = _call(callee, list(inputs.values()))
        if "appends" in own(node) and isinstance(value, ast.Binary) and isinstance(value.left, ast.Var):
            statements.append(ast.Append(value.left.name, value.right))
        else:
            self._give(node, [place], value, statements)
            for one in outputs[1:]:
                other = Place(str(node["id"]), str(one["title"]))
                if other in self._first or other in self._first.values():
                    raise NotRead(node, "one of its several outputs meets that of another node", BY_HAND)

    def _give(self, node: Component, places: list[Place], value: ast.Rhs, statements: list[ast.Statement]) -> None:
        """Bind what a node gives, unless it is a part of the next step."""
        place = places[0]
        self._last = place
        if own(node).get("part"):
            for one in places:
                self._parts[one] = value
            return
        titles = [one["title"] for one in node.get("outputs") or []]
        several = isinstance(self._value(place), ast.Attribute)
        target = Place(place.node, "") if several and titles else place
        statements.append(ast.Bind(ast.Name(self._name(target)), value))

    def _agent(self, node: Component, inputs: dict[str, Any]) -> ast.Call:
        rendering: Component | None = None
        for title in list(inputs):
            for source in self._sources.get(Place(str(node["id"]), title), []):
                if source in self._prompts:
                    rendering, arguments = self._prompts[source]
                    del inputs[title]
                    inputs |= arguments
                    break
        callee, titles = self._reader.agent(node, rendering)
        return _call(callee, [inputs[title] for title in titles])

    def _body(self, node: Component, names: Names) -> ast.Rhs:
        """Return what a node's subflow gives for its inputs: in place, where it was the body of a step."""
        subflow = self._reader.find(node["subflow"])
        if own(subflow).get("body"):
            value = _Flow(self._reader, subflow).body()
            made: ast.Rhs = substituted(value, names)
            return made
        callee = read_flow(self._reader, subflow)
        return _call(callee, [names[str(one["title"])] for one in subflow.get("inputs") or []])

    def _map(self, node: Component, inputs: Mapping[str, Any]) -> ast.Rhs:
        reducers = node.get("reducers") or {}
        if any(one != "append" for one in reducers.values()):
            raise NotRead(node, "it does not collect a list", "reduce the list with a tool or a function behind it")
        outputs = node.get("outputs") or []
        if len(outputs) != 1:
            raise NotRead(node, "it collects several lists", "let its flow give one value, such as an object")
        subflow = self._reader.find(node["subflow"])
        names: dict[str, Any] = {}
        over: list[tuple[str, ast.Rhs]] = []
        declared = {str(one["title"]): one for one in node.get("inputs") or []}
        for one in subflow.get("inputs") or []:
            title = str(one["title"])
            value = inputs[f"iterated_{title}"]
            if self._is_list_of(node, declared[f"iterated_{title}"], one):
                over.append((title, value))
            else:
                names[title] = value
        if len(over) != 1:
            why = "it goes through several lists at once" if over else "it goes through no list"
            raise NotRead(node, why, "make it one list, of objects with what belongs together")
        draws = own(node).get("draws")
        if isinstance(draws, int):
            return ast.Sample(ast.IntLit(draws), _attempt(node, self._body(node, {**names, over[0][0]: ast.IntLit(0)})))
        title, items = over[0]
        var = ast.Name(unique(plain_name(title), set(self._local)))
        condition: ast.Expr | None = None
        if isinstance(items, ast.Each):  # the part that chooses the items
            condition = substituted(items.condition, {items.var.text: ast.Var(var)})
            items = items.items
        body = _attempt(node, self._body(node, {**names, title: ast.Var(var)}))
        return ast.Each(var, one_value(node, items), condition, body)

    def _is_list_of(self, node: Component, given: Component, wanted: Component) -> bool:
        """Return whether an input of a map is a list that it goes through, not one value for all rounds."""
        if "anyOf" in given and given.get("anyOf") != wanted.get("anyOf"):
            sources = self._sources.get(Place(str(node["id"]), str(given["title"])), [])
            given = self._output(sources[0]) if sources else given
        return depth(given) == depth(wanted) + 1

    # ------------------------------------------------------------ what fails

    def _catch(self, node: Component, statements: list[ast.Statement]) -> str:
        """Read a step that is caught, and what stands in for it; return what comes behind."""
        key = str(node["id"])
        place = Place(key, str((node.get("outputs") or [{"title": VALUE}])[0]["title"]))
        first = self._body(node, self._inputs(node))
        others = {target for branch, target in self._ways[key].items() if branch != CAUGHT}
        caught = self._ways[key].get(CAUGHT)
        if len(others) != 1 or caught is None:
            raise NotRead(node, "its ways are not one for what it gives and one for what fails", BY_HAND)
        (behind,) = others
        places = [place]
        if behind == caught:
            rest: ast.Rhs = self._reader.literal(node, node["outputs"][0])
        else:
            test = behind
            behind = self._found(behind, caught)
            self._last = NOWHERE
            made, end = self._block(caught, (behind,))
            if end != behind:
                raise NotRead(node, "what follows a failure goes another way", BY_HAND)
            last = self._last
            if made and isinstance(made[0], ast.Bind) and len(made) == 1 and last != NOWHERE:
                rest = made[0].value
            elif not made and last != NOWHERE:
                rest = self._parts[last]
            else:
                raise NotRead(node, "what follows a failure is not one other value", BY_HAND)
            places.append(last)
            readers = [found for target, found in self._sources.items() if place in found and target.node != test]
            if any(last not in found for found in readers):
                raise NotRead(node, "what follows a failure gives another name", BY_HAND)
        for one in [one for one in self._parts if self._root(one) == self._root(place)]:
            del self._parts[one]
            places.append(one)
        self._give(node, places, ast.Fallback((*_options(node, first), *_options(node, rest))), statements)
        self._last = place
        return behind

    def _found(self, at: str, caught: str) -> str:
        """Return what comes behind a step that gave something: behind the test, where it may give none."""
        test = self._ways[at].get(NEXT, "")
        if not own(self._nodes.get(test, {})).get("found"):
            return at
        if self._ways[test].get(OTHERWISE) != caught:
            raise NotRead(self._nodes[test], "it does not lead where a failure leads", BY_HAND)
        self._seen |= {at, test}
        return self._ways[test][YES]

    # ------------------------------------------------------------ branches and loops

    def _branching(self, node: Component, stops: tuple[str, ...]) -> tuple[list[ast.Statement], str | None]:
        key, says = str(node["id"]), own(node)
        ways = self._ways[key]
        (subject,) = self._inputs(node).values()
        if OTHERWISE not in ways or not set(node["mapping"].values()) <= set(ways):
            raise NotRead(node, "one of its branches leads nowhere", "connect every branch, `default` as well")
        if says.get("until"):
            if ways[YES] not in stops:
                raise NotRead(node, "it does not leave the loop", "connect its `yes` to what follows the loop")
            return [ast.Until(subject)], ways[OTHERWISE]
        label = ast.Name(str(says["label"])) if "label" in says else None
        targets = dict.fromkeys([*(ways[branch] for branch in node["mapping"].values()), ways[OTHERWISE]])
        join = self._meeting(key, list(targets), ways[OTHERWISE], stops, bool(says.get("else")))
        inner = stops if join is None else (join, *(stop for stop in stops if stop != join))
        arms: dict[str, ast.Block] = {}
        for target in targets:
            if target == join:
                statements: list[ast.Statement] = []
                end: str | None = join
            else:
                statements, end = self._block(target, inner)
            if end is not None and end != join:
                raise NotRead(node, "its ways do not meet where they should", BY_HAND)
            arms[target] = ast.Block(tuple(statements))
        made = self._chosen(node, label, subject, arms)
        if says.get("elif"):
            self._chained += made
        return made, join

    def _chosen(
        self, node: Component, label: ast.Name | None, subject: ast.Expr, arms: Mapping[str, ast.Block]
    ) -> list[ast.Statement]:
        """Return the `if` or `match` that a BranchingNode is."""
        ways, mapping = self._ways[str(node["id"])], node["mapping"]
        other = arms[ways[OTHERWISE]]
        source = next(iter(self._sources.get(Place(str(node["id"]), str(node["inputs"][0]["title"])), [])), None)
        given = {} if source is None else self._output(source)
        if set(mapping) == {YES} and source is not None and own(self._nodes[source.node]).get("condition"):
            return self._if(label, [(subject, arms[ways[mapping[YES]]])], other)
        words = given.get("enum")
        by_target: dict[str, list[str]] = {}
        for word, branch in mapping.items():
            by_target.setdefault(ways[branch], []).append(str(word))
        if words is not None and set(mapping) <= set(words):
            match_arms = tuple(
                ast.Arm(tuple(map(ast.Name, found)), arms[target]) for target, found in by_target.items()
            )
            return [ast.Match(label, subject, match_arms, None if set(mapping) == set(words) else other)]
        tests = [
            (_any_of([ast.Binary(subject, "==", ast.StrLit(word)) for word in found]), arms[target])
            for target, found in by_target.items()
            if target != ways[OTHERWISE]
        ]
        return self._if(label, tests, other)

    def _if(
        self, label: ast.Name | None, tests: list[tuple[ast.Expr, ast.Block]], other: ast.Block
    ) -> list[ast.Statement]:
        branches = [ast.Branch(condition, block) for condition, block in tests]
        if len(branches) == 1 and not branches[0].body.statements:
            branches = [ast.Branch(ast.Not(branches[0].condition), other)]
            other = ast.Block(())
        if all(not branch.body.statements for branch in branches):
            return list(other.statements) if not branches else []
        nested = other.statements[0] if len(other.statements) == 1 else None
        if isinstance(nested, ast.If) and any(nested is one for one in self._chained):
            return [ast.If(label, (*branches, *nested.branches), nested.orelse)]
        return [ast.If(label, tuple(branches), other if other.statements else None)]

    def _loop(self, begin: Component, stops: tuple[str, ...]) -> tuple[ast.Statement, str]:
        """Read a loop from the node that sets its count to 0; return it, and what comes behind."""
        says = own(begin)["loop"]
        header = self._ways[str(begin["id"])][NEXT]
        test = self._ways[header][NEXT]
        choice = self._ways[test][NEXT]
        ways = self._ways[choice]
        self._seen |= {header, test, choice}
        body, behind = ways[YES], ways[OTHERWISE]
        item: Component | None = None
        if "for" in says:
            item = self._nodes[body]
            self._seen.add(body)
            body = self._ways[body][NEXT]
        statements, end = self._block(body, (header, behind))
        if end not in (header, None):
            raise NotRead(begin, "its body does not lead back to its count", "write it as a `loop` by hand")
        label = ast.Name(str(says["label"])) if "label" in says else None
        block = ast.Block(tuple(statements))
        if item is None:
            return ast.Loop(label, ast.IntLit(int(says["times"])), block), behind
        items = self._read(item, "items")
        if items is None:
            raise NotRead(item, "nothing gives its input `items`", "connect the list that the loop goes through")
        return ast.For(label, ast.Name(self._name(Place(str(item["id"])))), one_value(item, items), block), behind


def _call(callee: str, arguments: list[ast.Expr]) -> ast.Call:
    return ast.Call(ast.Name(callee), tuple(ast.Argument(None, value) for value in arguments))


def _any_of(tests: list[ast.Binary]) -> ast.Expr:
    return tests[0] if len(tests) == 1 else ast.Or(tuple(tests))


def one_value(node: Component, value: ast.Rhs) -> ast.Expr:
    """Return a value that is an expression. Raises NotRead for any other."""
    if isinstance(value, ast.Sample | ast.Each | ast.Fallback):
        raise NotRead(node, "what it goes through is more than an expression", "give the list a node of its own")
    return value


def _attempt(node: Component, value: ast.Rhs) -> ast.Attempt:
    if isinstance(value, ast.Sample | ast.Each):
        raise NotRead(node, "it maps within a map", "make its body a flow of its own")
    return value


def _options(node: Component, value: ast.Rhs) -> tuple[ast.Expr, ...]:
    made = _attempt(node, value)
    return made.options if isinstance(made, ast.Fallback) else (made,)
