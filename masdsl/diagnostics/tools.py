"""MAS12x: tools, and what the configuration grants."""

from __future__ import annotations

from masdsl.diagnostics.base import Diagnostic, Fix
from masdsl.diagnostics.suggest import near_fix
from masdsl.node import Span

_USUAL = {
    "sandbox.python": '"sandbox"',
    "math.calculate": '"calculator"',
    "docs.search": '{ kind = "search", path = "corpus" }',
    "docs.read": '{ kind = "read", path = "corpus" }',
    "web.get": '{ kind = "http", allow = ["docs.python.org"] }',
    "masdsl.design": '"design"',
}
"""What is usually granted under these names; the paths and hosts are examples."""


class ToolNotGranted(Diagnostic):
    """A tool is declared that the host has not granted to the program.

    Why: a program cannot name Python, a file or a URL. What it can touch is what the configuration grants by name: a
    Python function, a built-in tool, a tool of an MCP server. Where the tool is passed by the Python program around it
    (`masdsl.load(.., tools={..})`), `"host"` says so, and a check without that program is content. Where a tool of the
    standard library needs a grant, the `use` through which the program comes to it is shown.

    Bad:
        mas 1
        tool calculate(expression) -> float from "math.calculate"
        flow main(sum) -> float { return calculate(sum) }

    Good:
        mas 1
        tool calculate(expression) -> float from "math.calculate"
        flow main(sum) -> float { return calculate(sum) }

    File mas.toml:
        [tools]
        "math.calculate" = "calculator"
    """

    code = "MAS121"
    source_name: str
    granted: tuple[str, ...]
    near: str | None
    table: str
    """The table's name in the file that counts, with the file: `[tools] of mas.toml`."""
    needed_by: str = ""
    """The tool of the standard library that needs the grant, where one does: then this is about its `use`."""

    def title(self) -> str:
        return f'the tool "{self.source_name}" is not granted'

    def label(self) -> str:
        return f"needed by `{self.needed_by}`" if self.needed_by else "no such grant"

    def help(self) -> str:
        if self.near:
            return f'did you mean "{self.near}"?'
        return f'grant it under {self.table}: "{self.source_name}" = {usual_grant(self.source_name)}'

    def fix(self) -> Fix | None:
        return near_fix(self.source_name, self.near, self.span, written=f'"{self.near}"')


def usual_grant(name: str) -> str:
    """Return what a configuration would usually say behind the name of a tool and `=`, in TOML."""
    return _USUAL.get(name, '"package.module:function"')


class ToolDiffers(Diagnostic):
    """A tool is declared otherwise than what is granted under its name.

    Why: a wrong name of an input or a wrong type would come out in the middle of a run, after models were paid.
    Built-in tools are compared whenever a program is checked, Python functions when it is loaded to be run, MCP servers
    when they are connected; `mas tools --check` compares all of them.

    Bad:
        mas 1
        tool search(question) -> text(60)[5] from "docs.search"
        flow main(question) -> text(60)[5] { return search(question) }

    File mas.toml:
        [tools]
        "docs.search" = { kind = "search", path = "corpus" }

    Good:
        mas 1
        tool search(query) -> text(60)[5] from "docs.search"
        flow main(question) -> text(60)[5] { return search(question) }

    File mas.toml:
        [tools]
        "docs.search" = { kind = "search", path = "corpus" }
    """

    code = "MAS122"
    name: str
    target: str
    problem: str
    advice: str

    def title(self) -> str:
        return f"the tool `{self.name}` {self.problem}"

    def label(self) -> str:
        return f"granted is {self.target}"

    def help(self) -> str:
        return self.advice


class HiddenEffect(Diagnostic):
    """A tool that the host marks as one that changes the world is declared without `effect`.

    Why: uses of a tool with an effect keep their order, are never made again after a run was broken off, and are out of
    reach of patches from strangers. A program that hides the effect would lose all of that.

    Bad:
        mas 1
        tool order(item) -> bool from "shop.order"
        flow main(item) -> bool { return order(item) }

    File mas.toml:
        [tools]
        "shop.order" = { kind = "python", function = "shop:order", effect = true }

    Good:
        mas 1
        tool order(item) -> bool from "shop.order" effect
        flow main(item) -> bool { return order(item) }

    File mas.toml:
        [tools]
        "shop.order" = { kind = "python", function = "shop:order", effect = true }
    """

    code = "MAS123"
    name: str
    granted_as: str

    def title(self) -> str:
        return (
            f'the host says that "{self.granted_as}" changes the world, and `{self.name}` is declared without `effect`'
        )

    def label(self) -> str:
        return "declared as harmless"

    def help(self) -> str:
        return 'write `effect` behind `from "..."`'


class ToolCannotBeUsed(Diagnostic):
    """What is granted under a tool's name cannot be used on this machine.

    Why: it is looked for before a run begins, so that nothing is paid for in vain: a Python module that cannot be
    imported, a corpus that cannot be read, an MCP server that does not answer.
    """

    code = "MAS124"
    name: str
    target: str
    reason: str

    def title(self) -> str:
        return f"the tool `{self.name}` cannot be used: {self.reason}"

    def label(self) -> str:
        return f"granted is {self.target}"

    def help(self) -> str:
        return "mend what is granted, or its entry under [tools] of the configuration"


class DesignWithoutLimit(Diagnostic):
    """A tool that designs a system while the program runs is used where nothing limits its calls and tokens.

    Why: what a model will design is not known before it is asked. So that the program's worst case is known all the
    same, the slice of the budget around the step says what the design and the designed system may take together:
    `within calls .. tokens .. {..}`, or the flow's own `budget`. The worst case of the step is that slice.

    Bad:
        mas 1
        tool design(query) -> text(500) from "masdsl.design"
        flow main(query) -> text(500) {
          answer = design(query)
          return answer
        }

    File mas.toml:
        [tools]
        "masdsl.design" = "design"

    Good:
        mas 1
        tool design(query) -> text(500) from "masdsl.design"
        flow main(query) -> text(500) {
          within calls 10 tokens 40k {
            answer = design(query)
          }
          return answer
        }

    File mas.toml:
        [tools]
        "masdsl.design" = "design"
    """

    code = "MAS125"
    name: str
    missing: tuple[str, ...]
    statement: Span
    """The statement that the step stands in."""

    def title(self) -> str:
        return f"`{self.name}` designs a system here, and nothing limits the {' and the '.join(self.missing)} it takes"

    def label(self) -> str:
        return "takes as much as it likes"

    def help(self) -> str:
        written = " ".join(_USUAL_SLICE[name] for name in self.missing)
        return f"put the step into a slice of the budget: `within {written} {{ .. }}`"

    def fix(self) -> Fix | None:
        written = " ".join(_USUAL_SLICE[name] for name in self.missing)
        start, end = self.statement.start, self.statement.end
        return Fix(
            f"put it within {written}", ((Span(start, start), f"within {written} {{\n"), (Span(end, end), "\n}"))
        )


_USUAL_SLICE = {"calls": "calls 10", "tokens": "tokens 40k"}


class DesignByAgent(Diagnostic):
    """An agent is given a tool that designs systems.

    Why: how often an agent uses its tools, and on what, its model decides. What designs a system, and pays for running
    it, is for the flow to use, within a slice of the budget.

    Bad:
        mas 1
        tool design(query) -> text(500) from "masdsl.design"
        agent solver(query) -> text(500) on fast tools [design] "Solve {{ query }}."
        flow main(query) -> text(500) { return solver(query) }

    File mas.toml:
        [tools]
        "masdsl.design" = "design"

    Good:
        mas 1
        tool design(query) -> text(500) from "masdsl.design"
        flow main(query) -> text(500) {
          within calls 10 tokens 40k {
            answer = design(query)
          }
          return answer
        }

    File mas.toml:
        [tools]
        "masdsl.design" = "design"
    """

    code = "MAS126"
    name: str
    agent: str

    def title(self) -> str:
        return f"the agent `{self.agent}` is given `{self.name}`, which designs systems"

    def label(self) -> str:
        return "an agent may not use it"

    def help(self) -> str:
        return f"take `{self.name}` out of its `tools`, and use it as a step of a flow, within a slice of the budget"
