"""Where the inputs of an Agent Spec flow's nodes come from: outputs that lead to the same input are one name.

What reaches a reader is followed along the ways, so that a graph in which another value arrives than a name would have
is refused, not misread.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from masdsl.interop.agent_spec_parts import NEXT, VALUE, Place
from masdsl.interop.agent_spec_read import Component, NotRead, Reader, own, plain_name, unique
from masdsl.syntax import ast

NOWHERE = Place("", "")
"""What arrives where no node has given a value."""
BY_HAND = "write this part of the program by hand: `match`, `loop`, `each`"


class Graph:
    """The nodes of one flow, the ways between them, and the names of what they give."""

    def __init__(self, reader: Reader, component: Component) -> None:
        self._reader, self._component = reader, component
        self._nodes = {str(node["id"]): node for node in map(reader.find, component["nodes"])}
        self._start = str(reader.find(component["start_node"])["id"])
        self._ways: dict[str, dict[str, str]] = {key: {} for key in self._nodes}
        for edge in component["control_flow_connections"]:
            one, two = (str(reader.find(edge[end])["id"]) for end in ("from_node", "to_node"))
            branch = str(edge.get("from_branch") or NEXT)
            if branch in self._ways[one]:
                raise NotRead(edge, "its node has another way on by the same branch", "keep one of the two")
            self._ways[one][branch] = two
        self._sources: dict[Place, list[Place]] = {}
        for edge in component.get("data_flow_connections") or []:
            target = Place(str(reader.find(edge["destination_node"])["id"]), str(edge["destination_input"]))
            source = Place(str(reader.find(edge["source_node"])["id"]), str(edge["source_output"]))
            self._sources.setdefault(target, []).append(source)
        self._first: dict[Place, Place] = {}
        self._join_names()
        self._arriving = self._all_arriving()
        self._local = set(reader.taken)
        self._names: dict[Place, str] = {}
        self._parts: dict[Place, ast.Rhs] = {}
        self._prompts: dict[Place, tuple[Component, dict[str, Any]]] = {}
        self._seen: set[str] = set()
        self._last = NOWHERE
        self._chained: list[ast.Statement] = []

    # ------------------------------------------------------------ names

    def _join_names(self) -> None:
        """Find the outputs that are one name: that lead to one input, or are bound by the same name."""
        bound: dict[str, Place] = {}
        for one in self._nodes[self._start].get("inputs") or []:
            bound[str(one["title"])] = Place(self._start, str(one["title"]))
        for key, node in self._nodes.items():
            if "bind" in own(node):
                place = Place(key, str((node.get("outputs") or [{"title": VALUE}])[0]["title"]))
                self._join(bound.setdefault(str(own(node)["bind"]), place), place)
        for sources in self._sources.values():
            for other in sources[1:]:
                self._join(sources[0], other)

    def _join(self, one: Place, two: Place) -> None:
        first, second = self._root(one), self._root(two)
        if first != second:
            self._first[second] = first

    def _root(self, place: Place) -> Place:
        while place in self._first:
            place = self._first[place]
        return place

    def _all_arriving(self) -> dict[str, Mapping[Place, frozenset[Place]]]:
        """Return for each node, and each name (its first place), the outputs that may have given its value by then."""
        gives = {
            key: {self._root(place): frozenset({place}) for place in _outputs(key, node)}
            for key, node in self._nodes.items()
        }
        nothing = {root: frozenset({NOWHERE}) for given in gives.values() for root in given}
        found: dict[str, Mapping[Place, frozenset[Place]]] = {key: {} for key in self._nodes}
        found[self._start] = nothing
        pending = [self._start]
        while pending:
            key = pending.pop(0)
            after = {**found[key], **gives[key]}
            for target in dict.fromkeys(self._ways[key].values()):
                before = found[target]
                met = {root: places | before.get(root, frozenset()) for root, places in after.items()}
                if met != before:
                    found[target] = met
                    pending.append(target)
        return found

    def _name(self, place: Place) -> str:
        root = self._root(place)
        if root not in self._names:
            node = self._nodes[place.node]
            wanted = place.output if place.node == self._start else str(own(node).get("bind", node["name"]))
            self._names[root] = unique(plain_name(wanted), self._local)
        return self._names[root]

    def _read(self, node: Component, title: str) -> ast.Rhs | None:
        """Return what an input gets; None where nothing is connected. Raises NotRead for a value that no name has."""
        sources = self._sources.get(Place(str(node["id"]), title), [])
        if not sources:
            return None
        part = next((self._parts[source] for source in sources if source in self._parts), None)
        if part is not None:
            return part
        arrives = self._arriving[str(node["id"])].get(self._root(sources[0]), frozenset())
        if not arrives or NOWHERE in arrives:
            why = "comes from a later node" if arrives <= {NOWHERE} else "comes from a node that not every way leads by"
            raise NotRead(node, f"`{title}` {why}", "take it from one before")
        if not arrives <= set(sources):
            raise NotRead(node, f"`{title}` is an earlier value of a name that changed", "connect what came last")
        return self._value(sources[0])

    def _output(self, place: Place) -> Component:
        """Return the property that a place is; one that gives nothing, where there is none."""
        found = self._nodes[place.node].get("outputs") or []
        return next((one for one in found if one["title"] == place.output), {})

    def _value(self, place: Place) -> ast.Expr:
        node = self._nodes[place.node]
        name = ast.Var(ast.Name(self._name(place)))
        if place.node == self._start:
            return name
        titles = [one["title"] for one in node.get("outputs") or []]
        if node["component_type"] == "CatchExceptionNode":
            titles = titles[:1]
        is_whole = len(titles) == 1 and (node["component_type"] != "FlowNode" or titles == [VALUE])
        if is_whole:
            return name
        return ast.Attribute(ast.Var(ast.Name(self._name(Place(place.node, "")))), ast.Name(place.output))

    def _inputs(self, node: Component) -> dict[str, Any]:
        """Return what a node's inputs get, by title, in order: expressions, or a whole right-hand side for some."""
        found: dict[str, Any] = {}
        for one in node.get("inputs") or []:
            title = str(one["title"])
            value = self._read(node, title)
            if value is None:
                if "default" not in one:
                    raise NotRead(node, f"nothing gives its input `{title}`", "connect it, or give it a default")
                value = self._reader.literal(node, one)
            found[title] = value
        return found

    def _meeting(
        self, key: str, targets: list[str], otherwise: str, stops: tuple[str, ...], has_else: bool
    ) -> str | None:
        """Return where ways that part meet again: the first node that two of them lead to."""
        reached = {target: self._reached(target, stops) for target in targets}
        common = [
            node for target in targets for node in reached[target] if sum(node in one for one in reached.values()) > 1
        ]
        if common:
            wanted = set(common)
            best = max(len(wanted & self._reached(node, stops).keys()) for node in common)
            first = [node for node in common if len(wanted & self._reached(node, stops).keys()) == best]
            return min(first, key=lambda node: stops.index(node) if node in stops else -1)
        leaving = [target for target in targets if any(node in stops for node in reached[target])]
        if leaving:
            return leaving[0] if not has_else else next(node for node in reached[leaving[0]] if node in stops)
        return None if has_else or len(targets) != 2 else otherwise

    def _reached(self, at: str, stops: tuple[str, ...]) -> dict[str, None]:
        """Return the nodes that a way leads to, itself first; it ends at the stops."""
        found: dict[str, None] = {}
        pending = [at]
        while pending:
            one = pending.pop(0)
            if one not in found:
                found[one] = None
                pending += [] if one in stops else list(self._ways[one].values())
        return found


def _outputs(key: str, node: Component) -> list[Place]:
    return [Place(key, str(one["title"])) for one in node.get("outputs") or []]
