"""Where a walk through a program is, and what it gives."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from masdsl.check.program import Flow, Invoke
from masdsl.graph.model import Cluster, Edge, Vertex
from masdsl.graph.names import Sources


class Step(NamedTuple):
    """What a vertex that is a step was made of: its flow and node, and how often it is made in one run of that flow."""

    flow: Flow
    node: Invoke
    times: int


class Walked(NamedTuple):
    """The bare graph; `steps` are by vertex, or by cluster where the flow that is called is unfolded.

    `constructs` are the flows and addresses in them of the clusters that are loops and slices.
    """

    vertices: tuple[Vertex, ...]
    clusters: tuple[Cluster, ...]
    edges: tuple[Edge, ...]
    steps: Mapping[str, Step]
    constructs: Mapping[str, tuple[str, str]]
    folded: int


class Frame(NamedTuple):
    """Where the walk is: in a flow, below an address, in a cluster; `depth` levels may still be unfolded.

    `exits` collects what names hold where the innermost loop is left. `nested` is false where a `return` ends the flow
    in any case.
    """

    flow: Flow
    address: str
    cluster: str
    depth: int
    times: int
    loop: str
    exits: list[dict[str, Sources]]
    returned: Sources
    nested: bool

    def at(self, path: str) -> str:
        """Return the address in a run of a path in the flow."""
        return self.address + path[len(self.flow.name) :]
