"""The tools and resources of `mas mcp`; what they answer is in `answers`."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Annotated, Any, ParamSpec, TypeAlias, TypeVar

from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp_types import ToolAnnotations
from pydantic import Field

from masdsl.mcp_server import answers
from masdsl.mcp_server.answers import BadQuestion, Root
from masdsl.version import __version__

P = ParamSpec("P")
T = TypeVar("T")

INSTRUCTIONS = """\
masdsl is a small typed language for systems of LLM agents: a `.mas` program says which agents there are, what each is
told, how their answers flow, and what a run may cost at most. Read the resource `mas://guide` (the whole language on
one page) before you write a program. After each change call `check`; `explain` tells what a code such as MAS101 means;
`cost` proves what a run takes at worst, before it is run. Change an existing program by small patches (`patch`,
`diff`). Nothing here runs a program, calls a model, or writes a file."""

Program: TypeAlias = Annotated[str | None, Field(description="The program's text; leave it out to read `path`.")]
Path: TypeAlias = Annotated[
    str | None, Field(description="The program's file, relative to the server's folder; its imports are beside it.")
]


def server(folder: str) -> MCPServer:
    """Return the server; files below `folder` can be asked about."""
    root = Root(folder)
    app = MCPServer("masdsl", version=__version__, instructions=INSTRUCTIONS, log_level="WARNING")
    tool = app.tool(annotations=ToolAnnotations(read_only_hint=True, open_world_hint=False, idempotent_hint=True))

    @tool
    @_answered
    def check(program: Program = None, path: Path = None) -> dict[str, Any]:
        """Find everything that is wrong or suspicious about a program: names, types, sizes, budgets, trust.

        `ok` says whether it may be run. Each finding has its place, help, and often a fix that `fix` applies.
        """
        return answers.check(root.read(program, path))

    @tool
    @_answered
    def cost(program: Program = None, path: Path = None) -> dict[str, Any]:
        """Prove what a run of each flow takes at least and at worst: calls, tokens, USD, seconds; with what makes it.

        Of a program with errors the errors are told instead.
        """
        return answers.cost(root.read(program, path))

    @tool
    @_answered
    def format(program: Annotated[str, Field(description="The program's text.")]) -> str:
        """Write a program in its one canonical layout; comments are kept."""
        return answers.formatted(program)

    @tool
    @_answered
    def fix(
        program: Program = None,
        path: Path = None,
        suggested: Annotated[bool, Field(description="Also apply fixes that may not be what was meant.")] = False,
    ) -> dict[str, Any]:
        """Apply the changes that diagnostics offer, and tell what is left; a text is never worse than before."""
        return answers.fixed(root.read(program, path), suggested)

    @tool
    @_answered
    def patch(
        patch: Annotated[str, Field(description="Begins with `patch 1`; see `mas://guide`.")],
        program: Program = None,
        path: Path = None,
    ) -> dict[str, Any]:
        """Apply a patch, whole or not at all, and return the program with its worst case before and after.

        The result is checked; a patch that makes the program wrong is refused with the reasons. No file is changed.
        """
        return answers.patched(root.read(program, path), patch)

    @tool
    @_answered
    def diff(
        before: Annotated[str, Field(description="The text of a program.")],
        after: Annotated[str, Field(description="The text that it is to become.")],
    ) -> str:
        """Return the smallest patch that makes one program of another; layout and comments do not count."""
        return answers.difference(before, after)

    @tool
    @_answered
    def graph(
        program: Program = None,
        path: Path = None,
        flow: Annotated[str | None, Field(description="Leave it out for the flow that a run begins with.")] = None,
        depth: Annotated[int | None, Field(description="Levels of called flows that are drawn.", ge=0)] = None,
    ) -> str:
        """Draw a program as a Mermaid flowchart: steps, data flow, loops, branches, models, worst cases."""
        return answers.pictured(root.read(program, path), flow, depth)

    @tool
    @_answered
    def explain(
        code: Annotated[str, Field(description="Such as MAS101; leave it out for the list of all.")] = "",
    ) -> str:
        """Say what a diagnostic's code means, with an example of what is wrong and how it is mended."""
        return answers.explained(code)

    @app.resource("mas://guide", mime_type="text/markdown", description="The whole language on one page, for a model.")
    def guide() -> str:
        from masdsl.meta.guide import language_guide

        return language_guide()

    @app.resource("mas://reference", mime_type="text/markdown", description="The reference of the language.")
    def reference() -> str:
        from masdsl.meta.guide import language_reference

        return language_reference()

    return app


def _answered(function: Callable[P, T]) -> Callable[P, T]:
    """Tell what is wrong with a question as the protocol does: an answer that is marked as an error."""

    @wraps(function)
    def ask(*args: P.args, **given: P.kwargs) -> T:
        try:
            return function(*args, **given)
        except BadQuestion as fault:
            raise ToolError(str(fault)) from None

    return ask
