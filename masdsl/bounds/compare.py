"""Bounds now against bounds before: which worst cases rose."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

VERSION: Final = 1
"""Of the document that `mas cost --format json` writes and `--compare` reads."""
COMPARED: Final = (
    ("calls", "calls"),
    ("input_tokens", "input tokens"),
    ("output_tokens", "output tokens"),
    ("tokens", "tokens"),
    ("picodollars", "USD"),
    ("seconds", "seconds"),
)


class Rise(NamedTuple):
    """A worst case that rose: of which flow of which file, in which key of AMOUNTS, from what to what."""

    file: str
    flow: str
    line: int
    key: str
    measure: str
    before: float
    now: float


class BadBase(ValueError):
    """A document is none of bounds; the text says why."""


def document(reports: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the document of reports that can be compared with later ones."""
    return {"version": VERSION, "programs": list(reports)}


def worst_cases(base: object) -> dict[tuple[str, str], Mapping[str, float]]:
    """Return the worst case of every flow of a document, by file and flow. Raises BadBase."""
    if not isinstance(base, dict) or not isinstance(base.get("programs"), list):
        raise BadBase("it holds no `programs`: it is not what `mas cost --format json` writes")
    if base.get("version") != VERSION:
        raise BadBase(f"it is of version {base.get('version')!r}, and this masdsl reads version {VERSION}")
    found: dict[tuple[str, str], Mapping[str, float]] = {}
    for report in base["programs"]:
        flows = report.get("flows") if isinstance(report, dict) else None
        if not isinstance(flows, list) or not isinstance(report.get("file"), str):
            raise BadBase("one of its programs has no `file` or no `flows`")
        for flow in flows:
            most = flow.get("most") if isinstance(flow, dict) else None
            if not isinstance(most, dict) or not isinstance(flow.get("flow"), str):
                raise BadBase(f"a flow of `{report['file']}` has no `flow` or no `most`")
            for key, _ in COMPARED:
                number = most.get(key)
                if not isinstance(number, int | float) or isinstance(number, bool) or number < 0:
                    raise BadBase(f"`{key}` of a flow of `{report['file']}` is no amount")
            found[report["file"], flow["flow"]] = most
    return found


def rises(report: Mapping[str, Any], before: Mapping[tuple[str, str], Mapping[str, float]]) -> Iterator[Rise]:
    """Yield the worst cases of a program's flows that rose; flows that are new have none to rise from."""
    for flow in report["flows"]:
        old = before.get((report["file"], flow["flow"]))
        if old is None:
            continue
        for key, measure in COMPARED:
            if flow["most"][key] > old[key]:
                yield Rise(report["file"], flow["flow"], flow["line"], key, measure, old[key], flow["most"][key])
