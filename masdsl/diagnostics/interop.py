"""MAS97x: what does not translate to another framework, or from one."""

from __future__ import annotations

from masdsl.diagnostics.base import Diagnostic


class NotExported(Diagnostic):
    """A part of a program says what the framework that it is exported to cannot say.

    Why: an exported program gives what the program gives here, for the same replies of the models. What would change
    that is refused, never left out; docs/interop.md has the list for each framework.

    To go on: say it in another way, as the help proposes, or run the program here.
    """

    code = "MAS970"
    what: str
    target: str
    why: str
    instead: str

    def title(self) -> str:
        return f"{self.what} does not translate to {self.target}: {self.why}"

    def label(self) -> str:
        return "has no counterpart"

    def help(self) -> str:
        return self.instead


class NotImported(Diagnostic):
    """A component of an Agent Spec document has no counterpart in a program.

    Why: an imported program means what the document means. A component that would have to be left out, or guessed at,
    is refused, with its place in the document; docs/interop.md says what translates.

    To go on: change the component as the help proposes, or write its part of the program by hand.
    """

    code = "MAS971"
    component: str
    why: str
    instead: str

    def title(self) -> str:
        return f"{self.component} does not translate to masdsl: {self.why}"

    def label(self) -> str:
        return "has no counterpart"

    def help(self) -> str:
        return self.instead


class NoDocument(Diagnostic):
    """A file is no document of Open Agent Specification.

    Why: what is imported is a flow that `pyagentspec` would load: JSON or YAML, with a `component_type`, and every
    reference (`$component_ref`) to something that is there.

    To go on: export the document again with `pyagentspec`, or mend the place that is shown.
    """

    code = "MAS972"
    why: str

    def title(self) -> str:
        return f"this is no Agent Spec document: {self.why}"

    def label(self) -> str:
        return "cannot be read"

    def help(self) -> str:
        return "write it with `pyagentspec` (`AgentSpecSerializer().to_json(flow)`), or mend this place"
