"""What pictures say, in words: the lines of a vertex, a cluster and an edge, the same in every format.

Texts of programs and models come in here as they are; each renderer escapes for its own format. What does not show
itself (controls, bidirectional marks) is spelled out already here.
"""

from __future__ import annotations

from typing import Final

from masdsl.diagnostics.escape import escape
from masdsl.graph import model
from masdsl.graph.model import Cluster, Cost, Edge, Graph, Ran, Vertex
from masdsl.money import show_usd
from masdsl.sizes import MICROSECONDS
from masdsl.trust.labels import MODEL, SECRET, UNTRUSTED

WIDEST: Final = 44
"""Characters of one line of a vertex; longer ones are cut."""
LONGEST: Final = 600
"""Characters of what its author says of it that its details hold."""


def clean(text: str, most: int = WIDEST) -> str:
    """Return a text that shows itself, on one line, of at most so many characters."""
    shown = escape(" ".join(text.split()))
    return shown if len(shown) <= most else f"{shown[: most - 2]}.."


def lines_of(vertex: Vertex, *, costs: bool = True) -> tuple[str, ...]:
    """Return what stands in a vertex: what it is called first, then what it does, on what, and what it costs."""
    if vertex.kind == model.INPUT:
        return (clean(vertex.name), clean(f"input, {vertex.type}"))
    if vertex.kind == model.RESULT:
        return (clean(vertex.name), clean(vertex.type))
    if vertex.kind == model.CHOICE:
        return (clean(f"{vertex.name} {vertex.text}"),)
    if vertex.kind == model.UNTIL:
        return (clean(f"until {vertex.text}"),)
    if vertex.kind == model.LEAVE:
        return (clean(f"return {vertex.text}"),)
    if vertex.kind == model.VALUE:
        return (clean(vertex.text),)
    if vertex.kind == model.CARRY:
        return (clean(vertex.name),)
    if vertex.kind == model.LENT:
        return (clean(vertex.name), clean(f"may use {vertex.text}"))
    room = max(WIDEST - len(vertex.name) - 2, len("each .."))  # what it is called stays whole, the list is cut
    each = vertex.repeat if len(vertex.repeat) <= room else f"{vertex.repeat[: room - 2]}.."
    name = f"{each}: {vertex.name}" if vertex.repeat.startswith("each") else vertex.name
    name = f"{vertex.name}, {vertex.repeat}" if vertex.repeat and name == vertex.name else name
    lines = [clean(name), clean(f"{vertex.kind} {vertex.text}")]
    on = on_model(vertex)
    if on:
        lines.append(clean(on))
    lines += [clean(note) for note in (*(("effect",) if vertex.effect else ()), *vertex.notes)]
    trust = trust_text(vertex)
    if trust:
        lines.append(clean(trust))
    if costs and vertex.cost is not None and (vertex.cost.calls or vertex.cost.microseconds):
        lines.append(cost_text(vertex.cost))
    return tuple(lines)


def on_model(vertex: Vertex) -> str:
    """Return what an agent is on: its tier, and the model behind it; what grants a tool."""
    if vertex.kind == model.TOOL:
        return f"from {vertex.model}"
    if vertex.kind != model.AGENT:
        return ""
    if vertex.tier and vertex.model:
        return f"{vertex.tier}: {vertex.model}"
    return vertex.tier or vertex.model


def cost_text(cost: Cost) -> str:
    """Return a worst case, such as `at most 5 calls, 10,163 tokens, $0.00104`; of no call, the seconds."""
    if not cost.calls:
        return f"at most {cost.microseconds / MICROSECONDS:,.0f} s"
    said = [f"{cost.calls:,} call{'' if cost.calls == 1 else 's'}", f"{cost.tokens:,} tokens"]
    if cost.picodollars:
        said.append(show_usd(cost.picodollars))
    return f"at most {', '.join(said)}"


def ran_text(ran: Ran) -> str:
    """Return what happened at a part."""
    if not ran.is_known:
        return f"{_times(ran.times)} at least" if ran.times else "nobody can say how often"
    if not ran.times:
        return "not reached"
    said = [_times(ran.times) + (f": {', '.join(f'{word} {count:,}' for word, count in ran.ways)}" if ran.ways else "")]
    if ran.calls:
        said.append(f"{ran.calls:,} call{'' if ran.calls == 1 else 's'}")
        said.append(f"{ran.tokens:,} tokens")
    if ran.picodollars:
        said.append(show_usd(ran.picodollars))
    if ran.seconds >= 0.05:
        said.append(f"{ran.seconds:,.1f} s")
    counts = (
        (ran.failed, "failed"),
        (ran.defaults, "by default"),
        (ran.running, "not ended"),
        (ran.retries, "asked again"),
    )
    for count, word in counts:
        if count:
            said.append(f"{count:,} {word}")
    return ", ".join(said)


def _times(count: int) -> str:
    return f"{count:,} time{'' if count == 1 else 's'}"


def trust_text(vertex: Vertex) -> str:
    """Return the label of what a step gives where it is worse than that of a model's own text, and what it takes."""
    trust = vertex.trust
    if trust is None:
        return ""
    said = [level for level in (_level(trust.gives, vertex.kind),) if level]
    if trust.takes:
        said.append(f"takes {trust.takes}")
    if trust.refused:
        said.append("REFUSED")
    return ", ".join(said)


def _level(taints: tuple[str, ...], kind: str) -> str:
    secrets = [f"secret {taint.removeprefix(SECRET)}" for taint in taints if taint.startswith(SECRET)]
    worst = [UNTRUSTED] if UNTRUSTED in taints else [MODEL] if MODEL in taints and kind != model.AGENT else []
    return f"gives {', '.join((*worst, *secrets))}" if worst or secrets else ""


def edge_text(edge: Edge, source: Vertex | None, target: Vertex | None) -> str:
    """Return what stands at an edge: the names that are read, where they say more than its ends do, and how many
    tokens the values have at most.
    """
    known = {vertex.name for vertex in (source, target if target and target.kind == model.CARRY else None) if vertex}
    names = [name for name in edge.names if name not in known]
    said = clean(", ".join(names), 28)
    if edge.kind in (model.DATA, model.ENDS) and edge.tokens:
        said += f"{' ' if said else ''}≤ {edge.tokens:,} t"
    if edge.kind == model.LENDS:
        said = "may use"
    if edge.taken is not None:
        said = f"{said}{', ' if said else ''}{f'taken {_times(edge.taken)}' if edge.taken else 'not taken'}"
    return said


def title_of(cluster: Cluster) -> str:
    """Return what stands at a cluster."""
    said = clean(cluster.title, 60)
    if cluster.cost is not None and (cluster.cost.calls or cluster.cost.microseconds):
        said += f" ({cost_text(cluster.cost)})"
    return said


def details(vertex: Vertex) -> str:
    """Return all that is known of a vertex, a line each: its tooltip."""
    lines = [vertex.id, *lines_of(vertex)[1:]]
    if vertex.type and vertex.kind not in (model.INPUT, model.RESULT):
        lines.append(f"gives {vertex.type}")
    if vertex.about:
        lines.append(clean(vertex.about, LONGEST))
    if vertex.trust is not None:
        for word, taints in (("decided by", vertex.trust.decided), ("is given", vertex.trust.given)):
            lines.append(f"{word} {', '.join(taints) or 'trusted text'}")
    if vertex.was:
        lines += [f"before: {clean(line)}" for line in vertex.was]
    if vertex.ran is not None:
        lines.append(f"in this run: {ran_text(vertex.ran)}")
        if vertex.ran.reason:
            lines.append(clean(vertex.ran.reason, LONGEST))
    if vertex.declared:
        lines += vertex.declared[:LONGEST].splitlines()
    lines.append(f"{escape(vertex.place.file)}:{vertex.place.line}")
    return "\n".join(escape(line) for line in lines)


def sentences(graph: Graph) -> str:
    """Return the picture in words, for those who do not see it: its steps in order, and what each reads."""
    names = {vertex.id: vertex.name or vertex.text for vertex in graph.vertices}
    names |= {cluster.id: cluster.title for cluster in graph.clusters}
    said = [clean(line, 300) for line in graph.headline]
    if graph.cost is not None:
        said.append(f"The whole run: {cost_text(graph.cost)}.")
    for vertex in graph.vertices:
        if vertex.kind in (model.CHOICE, model.UNTIL) and vertex.ran is not None:
            said.append(clean(f"{vertex.name} {vertex.text}: {ran_text(vertex.ran)}.", 200))
        if vertex.kind not in model.STEPS:
            continue
        reads = [names[edge.source] for edge in graph.edges if edge.target == vertex.id and edge.kind == model.DATA]
        text = f"{vertex.name}: {vertex.kind} {vertex.text}"
        said.append(clean(f"{text} reads {', '.join(dict.fromkeys(reads))}." if reads else f"{text}.", 200))
    return " ".join(said)
