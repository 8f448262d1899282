"""The graph of a program: what every renderer reads. Nothing here is ever changed; a changed copy is made instead."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

INPUT, RESULT, AGENT, TOOL, FLOW, LENT, CHOICE, UNTIL, VALUE, CARRY, LEAVE = (
    *("input", "result", "agent", "tool", "flow", "lent tool", "choice", "until", "value", "carry", "return"),
)
"""Kinds of vertices. `flow` is a call that is not unfolded, `lent tool` one that an agent may use, `value` a block that
only computes, `carry` a name that a loop hands from round to round, `return` a way out before the end."""
STEPS: Final = frozenset((AGENT, TOOL, FLOW))
"""Kinds of vertices that are steps of the program."""

RUN, CALLED, LOOP, FOR, BRANCH, WITHIN = "run", "called flow", "loop", "for", "branch", "within"
"""Kinds of clusters: the flow that a run begins with, one that a step calls, and the constructs with blocks."""

DATA, DECIDES, OTHERWISE, LENDS, ENDS = "data", "decides", "else", "lends", "ends"
"""Kinds of edges: a value that is read; a condition and what hangs on it; a step and the one that is tried when it
fails; an agent and a tool that it may use; a way out and the result that it gives."""

ADDED, DROPPED, CHANGED, MOVED = "added", "dropped", "changed", "moved"
"""What a patch does to a part of the picture; the empty text where it does nothing."""


class Place(NamedTuple):
    """Where a part stands in the text: `file` is the name of the source, `line` and `column` count from 1."""

    file: str
    line: int
    column: int


class Cost(NamedTuple):
    """The worst case of a part in one run of its flow: all rounds of the loops around it together.

    `microseconds` are of the rounds one after the other.
    """

    calls: int
    tokens: int
    picodollars: int
    microseconds: int


class Trust(NamedTuple):
    """How far the text of a step can be trusted: `decided` is what decides that it happens, `given` and `gives` its
    inputs and value; each is taints (`model`, `untrusted`, `secret:NAME`), none of which is trusted text.

    `takes` is the worst level that the step may be given, empty where there is no limit; `refused` says that the
    host's policy forbids the step.
    """

    decided: tuple[str, ...]
    given: tuple[str, ...]
    gives: tuple[str, ...]
    takes: str
    refused: bool


class Ran(NamedTuple):
    """What happened at a part in a run. `times` is how often it began, `running` how often it has not ended.

    `values` is how often it gave one, `failed` how often it ended without. `calls`, `tokens`, `picodollars` and
    `seconds` (of calls, added up) are what it took; `faults` are calls that failed, `retries` those after the first.
    `reused` counts values that a resumed run had already, `defaults` those that were declared for a step that fails.
    `ways` says of what decides how often it came out how. With `times` 0 the run did not come here; without `is_known`
    nobody can say how often it did, but that often at least.
    """

    times: int = 0
    values: int = 0
    failed: int = 0
    running: int = 0
    calls: int = 0
    tokens: int = 0
    picodollars: int = 0
    seconds: float = 0.0
    faults: int = 0
    retries: int = 0
    reused: int = 0
    defaults: int = 0
    reason: str = ""
    ways: tuple[tuple[str, int], ...] = ()
    is_known: bool = True


class Vertex(NamedTuple):
    """A step, or what decides, holds or gives values between steps.

    `id` is unique: a step's address in a run (without the numbers of rounds). `name` is what it binds, `text` what it
    calls or computes, `type` what it gives, `repeat` how one statement makes it several times at once (`3 of`, `each
    x in xs`). `times` is how often it may happen in one run of its flow. `tier` and `model` say what an agent is on,
    `about` is what its author says of it. `effect` marks a tool that changes the world. `wave` counts, in the
    picture, the steps in a row that it waits for: those of one wave may run at the same time. `declared` is what its
    declaration says beside that (an agent's prompt). `state` is what a patch does to it, `was` what it said before.
    """

    id: str
    kind: str
    name: str
    text: str
    cluster: str
    place: Place
    type: str = ""
    repeat: str = ""
    times: int = 1
    cost: Cost | None = None
    tier: str = ""
    model: str = ""
    about: str = ""
    notes: tuple[str, ...] = ()
    effect: bool = False
    trust: Trust | None = None
    wave: int = 0
    declared: str = ""
    state: str = ""
    was: tuple[str, ...] = ()
    ran: Ran | None = None


class Cluster(NamedTuple):
    """Parts that belong together; `parent` is the cluster around it, empty for the flow that a run begins with.

    `repeat` is how one statement calls a flow several times at once, as that of a vertex.
    """

    id: str
    kind: str
    title: str
    parent: str
    place: Place
    cost: Cost | None = None
    times: int = 1
    state: str = ""
    was: tuple[str, ...] = ()
    ran: Ran | None = None
    repeat: str = ""


class Edge(NamedTuple):
    """What goes from one vertex to another. The `target` of one that decides may be a cluster.

    `names` are the names under which values are read there, or the word under which a branch is taken. `tokens` is how
    many counted tokens the values have at most. `back` says that it goes to the next round of a loop. `taints` are
    those of the text that goes along it. `taken` is how often a run went along one that decides, or to what is tried
    when a step fails; None where there is no run, or nobody can say it.
    """

    source: str
    target: str
    kind: str
    names: tuple[str, ...] = ()
    tokens: int = 0
    back: bool = False
    taints: tuple[str, ...] = ()
    state: str = ""
    taken: int | None = None


class Role(NamedTuple):
    """An agent that steps of the picture are made by."""

    name: str
    tier: str
    model: str
    role: str
    temperature: float | None
    retries: int
    tools: tuple[str, ...]
    place: Place


class Graph(NamedTuple):
    """The picture of one flow, or of the flows of a module; clusters stand behind the one around them, vertices in
    order of the text.

    `cost` is the worst case of the run, `budget` the limits on it, `headline` says something about the whole (a patch,
    a run). `folded` counts the calls of flows that could be unfolded further.
    """

    title: str
    vertices: tuple[Vertex, ...]
    clusters: tuple[Cluster, ...]
    edges: tuple[Edge, ...]
    roles: tuple[Role, ...] = ()
    cost: Cost | None = None
    budget: Mapping[str, float] = {}
    headline: tuple[str, ...] = ()
    folded: int = 0

    @property
    def has_unknown_ways(self) -> bool:
        """Whether the picture is that of a run, of which it is not known whether it went some way."""
        is_run = any(vertex.ran is not None for vertex in self.vertices)
        return is_run and any(edge.kind == DECIDES and edge.taken is None for edge in self.edges)

    @property
    def shows_trust(self) -> bool:
        """Whether any step has labels."""
        return any(vertex.trust is not None for vertex in self.vertices)
