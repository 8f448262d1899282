"""A flow of Open Agent Specification as a program: `mas import --from agent-spec`. The inverse is `agent_spec`.

The document is read as data; `pyagentspec` is not needed. What has no counterpart is refused where it stands, and
nothing is left out: either the whole flow translates, or there is no program.
"""

from __future__ import annotations

import json
from typing import Any

from masdsl.diagnostics.base import Findings
from masdsl.diagnostics.interop import NoDocument, NotImported
from masdsl.interop.agent_spec_read import Component, NotRead, Reader
from masdsl.interop.agent_spec_ways import read_flow
from masdsl.node import NOWHERE, Span
from masdsl.source import Source
from masdsl.syntax.parse import parse_program
from masdsl.syntax.print import format_document, print_item


def import_text(source: Source, findings: Findings) -> str | None:
    """Return the canonical text of the program that a document (JSON, or YAML where PyYAML is installed) means.

    None, with located diagnostics (MAS971, MAS972), for what is no document or does not translate. Nothing is raised.
    """
    try:
        document = _parsed(source.text)
        if not isinstance(document, dict) or document.get("component_type") != "Flow":
            raise ValueError("its root is no component of the type `Flow`")
        reader = Reader(document)
        read_flow(reader, document)
    except (ValueError, RecursionError, KeyError, TypeError, AttributeError, IndexError) as error:
        why = str(error) if isinstance(error, ValueError) else f"a part of it is missing or of another form ({error})"
        findings.add(source, NoDocument(why.split("\n")[0].rstrip("."), span=Span(0, min(1, len(source.text)))))
        return None
    except NotRead as refused:
        component = refused.component
        what = f"the {component.get('component_type', 'component')} `{str(component.get('name', '?'))[:64]}`"
        place = _place(source.text, component)
        findings.add(source, NotImported(what, str(refused).rstrip("."), refused.instead, span=place))
        return None
    text = "\n\n".join(["mas 1", *(print_item(item).strip("\n") for item in reader.items())]) + "\n"
    faults = Findings()
    parsed = parse_program(Source(source.name, text), faults)
    if not faults.ok:  # such as a control character in a prompt, which no program may hold
        why = f"it says what no program can say: {faults.sorted()[0].diagnostic.title()}"
        findings.add(source, NoDocument(why, span=Span(0, min(1, len(source.text)))))
        return None
    return format_document(parsed)


def _parsed(text: str) -> Any:
    if text.lstrip().startswith("{"):
        return json.loads(text)
    try:
        import yaml
    except ModuleNotFoundError:
        raise ValueError("it is no JSON, and YAML needs a reader: pip install pyyaml") from None
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValueError(f"it is neither JSON nor YAML: {error}") from None


def _place(text: str, component: Component) -> Span:
    """Return where a component's id stands in the text."""
    for quoted in (f'"id": {json.dumps(component.get("id"))}', f"id: {component.get('id')}"):
        at = text.find(quoted)
        if at >= 0:
            return Span(at, at + len(quoted))
    return Span(0, min(1, len(text))) if text else NOWHERE
