"""The style of pictures as SVG, light and dark. Shapes, dashes and words say what colours say."""

from __future__ import annotations

from typing import Final

_LIGHT: Final = {
    "paper": "#ffffff",
    "ink": "#1f2937",
    "soft": "#4b5563",
    "line": "#64748b",
    "group": "#94a3b8",
    "inside": "#64748b0d",
    "agent": "#dbeafe",
    "agent-edge": "#2563eb",
    "tool": "#dcfce7",
    "tool-edge": "#15803d",
    "flow": "#ede9fe",
    "flow-edge": "#6d28d9",
    "choice": "#fef3c7",
    "choice-edge": "#b45309",
    "plain": "#f3f4f6",
    "plain-edge": "#6b7280",
    "warn": "#c2410c",
    "secret": "#a21caf",
    "bad": "#b91c1c",
    "added": "#bbf7d0",
    "added-edge": "#15803d",
    "dropped": "#fecaca",
    "changed": "#fde68a",
}
_DARK: Final = {
    "paper": "#0f172a",
    "ink": "#e5e7eb",
    "soft": "#b6bfcc",
    "line": "#94a3b8",
    "group": "#64748b",
    "inside": "#94a3b812",
    "agent": "#1e3a8a",
    "agent-edge": "#60a5fa",
    "tool": "#14532d",
    "tool-edge": "#4ade80",
    "flow": "#4c1d95",
    "flow-edge": "#a78bfa",
    "choice": "#713f12",
    "choice-edge": "#fbbf24",
    "plain": "#1f2937",
    "plain-edge": "#9ca3af",
    "warn": "#fb923c",
    "secret": "#e879f9",
    "bad": "#f87171",
    "added": "#166534",
    "added-edge": "#4ade80",
    "dropped": "#7f1d1d",
    "changed": "#854d0e",
}


def _variables(colours: dict[str, str]) -> str:
    return ".mas-graph{" + "".join(f"--{name}:{value};" for name, value in colours.items()) + "}"


def _node(kind: str, fill: str, edge: str) -> str:
    shapes = ",".join(f".mas-graph .node.{kind}>{shape}" for shape in ("rect", "polygon"))
    return f"{shapes}{{fill:var(--{fill});stroke:var(--{edge})}}"


STYLE: Final = "".join(
    (
        _variables(_LIGHT),
        f"@media (prefers-color-scheme:dark){{{_variables(_DARK)}}}",
        ".mas-graph text{fill:var(--ink);font:11px system-ui,-apple-system,'Segoe UI',Roboto,'DejaVu Sans',sans-serif}",
        ".mas-graph .paper{fill:var(--paper)}",
        ".mas-graph .node text{text-anchor:middle}",
        ".mas-graph text.name{font:600 13px ui-monospace,Menlo,Consolas,'DejaVu Sans Mono',monospace}",
        ".mas-graph text.soft,.mas-graph text.legend{fill:var(--soft)}",
        ".mas-graph text.warn{fill:var(--warn);font-weight:600}",
        ".mas-graph text.ran{font-weight:700}",
        ".mas-graph text.head{font-weight:600;font-size:12px}",
        ".mas-graph .node>rect,.mas-graph .node>polygon{stroke-width:1.4}",
        ".mas-graph .group>rect{fill:var(--inside);stroke:var(--group);stroke-width:1}",
        ".mas-graph .group.branch>rect{stroke-dasharray:5 4}",
        ".mas-graph .group.loop>rect,.mas-graph .group.for>rect{stroke-width:1.8}",
        ".mas-graph text.over,.mas-graph text.label{fill:var(--soft);paint-order:stroke;stroke:var(--paper)}",
        ".mas-graph text.over{stroke-width:7px;stroke-linejoin:round;font-weight:600}",
        ".mas-graph text.label{stroke-width:6px;stroke-linejoin:round;font-size:10px;text-anchor:middle}",
        ".mas-graph .line path{fill:none;stroke:var(--line);stroke-width:1.3}",
        ".mas-graph .tip{fill:var(--line);fill:context-stroke;stroke:none}",
        ".mas-graph .line.decides path{stroke:var(--choice-edge)}",
        ".mas-graph .line.taken path{stroke-width:3}",
        ".mas-graph .line.not-taken path{stroke:var(--group);stroke-dasharray:2 3}",
        ".mas-graph .line.back path{stroke-dasharray:6 4}",
        ".mas-graph .line.lends path,.mas-graph .line.else path{stroke-dasharray:2 3}",
        ".mas-graph .line.untrusted path{stroke:var(--warn);stroke-width:2}",
        ".mas-graph .line.secret path{stroke:var(--secret);stroke-width:2}",
        ".mas-graph .line.added path{stroke:var(--added-edge);stroke-width:2.4}",
        ".mas-graph .line.dropped path{stroke:var(--bad);stroke-dasharray:6 4}",
        *(_node(kind, "agent", "agent-edge") for kind in ("agent",)),
        *(_node(kind, "tool", "tool-edge") for kind in ("tool", "lent-tool")),
        _node("flow", "flow", "flow-edge"),
        *(_node(kind, "choice", "choice-edge") for kind in ("choice", "until")),
        *(_node(kind, "plain", "plain-edge") for kind in ("value", "carry", "return")),
        *(_node(kind, "paper", "ink") for kind in ("input", "result")),
        ".mas-graph .node .bar{stroke:var(--tool-edge);stroke-width:1.4}",
        ".mas-graph .node .inner{fill:none}",
        ".mas-graph .node.result>rect{stroke-width:2.4}",
        ".mas-graph .node.lent-tool>rect,.mas-graph .node.value>rect{stroke-dasharray:3 3}",
        _node("added", "added", "added-edge"),
        _node("dropped", "dropped", "bad"),
        _node("changed", "changed", "choice-edge"),
        _node("moved", "changed", "choice-edge"),
        ".mas-graph .node.added>*,.mas-graph .node.changed>*,.mas-graph .node.dropped>*{stroke-width:2.4}",
        ".mas-graph .node text{stroke-width:0}",
        ".mas-graph .node.dropped>rect,.mas-graph .node.dropped>polygon{stroke-dasharray:6 4}",
        ".mas-graph .group.added>rect{stroke:var(--added-edge);stroke-width:2.4}",
        ".mas-graph .group.dropped>rect{stroke:var(--bad);stroke-dasharray:6 4}",
        ".mas-graph .group.changed>rect{stroke:var(--choice-edge);stroke-width:2.4}",
        ".mas-graph .left-out>rect,.mas-graph .left-out>polygon{fill:none;stroke-dasharray:2 3;stroke:var(--group)}",
        ".mas-graph .left-out text{fill:var(--soft)}",
        ".mas-graph .node.failed>rect,.mas-graph .node.refused>rect{stroke:var(--bad);stroke-width:3}",
        ".mas-graph a:focus-visible{outline:3px solid var(--agent-edge)}",
        ".mas-graph a:hover .name{text-decoration:underline}",
    )
)
"""Rules of a style sheet, all of them below the class of the picture."""
