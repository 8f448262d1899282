"""The command `mas`. Each command is a module here with `run(arguments) -> exit code`, imported when it is asked for.

Exit codes: 0 fine; 1 findings, or failed tests; 2 the command was used wrongly, or a file cannot be read or written; 3
a run went over its budget; 4 a run failed; 5 no tests were found; 6 no sandbox works here; 130 interrupted; 141 the
reader of the output went away.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence

COMMANDS = {
    "check": "find mistakes in programs without running them",
    "cost": "show what programs cost at least and at worst",
    "trust": "show how far the text of each step can be trusted",
    "graph": "draw a program, a run of it, or what a patch does to it",
    "fmt": "write programs in their one layout",
    "fix": "mend what has an obvious remedy",
    "build": "compile a program to a Python file",
    "run": "run a program, or go on with a run",
    "runs": "list, show and forget the runs that are kept",
    "serve": "open programs in a page to write and run them, or as a service",
    "report": "write a page about a kept run, or a batch",
    "replay": "show a kept run again without calling a model",
    "eval": "run programs on a data set, and grade them",
    "worker": "make runs of batches that others have begun",
    "test": "run the tests that stand in programs",
    "diff": "show the patch that makes one program of another",
    "patch": "change a program by a patch",
    "merge": "join two changes of a program",
    "bind": "assign models to the roles of a template",
    "design": "design a system for a query",
    "solve": "answer a query by a system that is designed for it",
    "library": "keep modules and rules that have proved themselves",
    "lock": "pin the prices of the models that programs use",
    "explain": "show what a code such as MAS101 means",
    "grammar": "print the grammar for a constrained decoder",
    "spec": "print the reference of the language, or a guide for a model",
    "tools": "list what the configuration grants, and try it",
    "models": "list models, fetch the weights of the local one",
    "sandbox": "show where model-written Python is run, and run some",
    "mcp": "answer the questions of a coding agent about programs",
    "lsp": "serve an editor: diagnostics, completion, renaming, costs",
    "export": "write a program for another framework",
    "import": "write the program that a document of another framework means",
    "init": "start a project",
}

MODULES = {"import": "import_"}
"""Commands whose module has another name, because Python has a use of its own for theirs."""

TRACED = frozenset({"run", "serve", "eval", "worker", "design", "solve", "library"})
"""Commands that run programs for their user, so that OpenTelemetry may be told of them."""

FINE, FOUND, USAGE, OVER_BUDGET, FAILED, NOTHING_COLLECTED, NO_SANDBOX, INTERRUPTED, NO_READER = (
    0,
    1,
    2,
    3,
    4,
    5,
    6,
    130,
    141,
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `mas` with these arguments (by default those of the process) and return the exit code.

    Never raises for bad input: mistakes are printed, and a fault of masdsl itself is reported as MAS000.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    if arguments is None:
        collect_garbage_less_often()
    try:
        code = _dispatch(given)
        sys.stdout.flush()
        return code
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        _silence_stdout()
        return NO_READER
    except SystemExit as stop:  # argparse: 0 after --help, 2 after a wrong option
        return stop.code if isinstance(stop.code, int) else USAGE
    except BaseException as error:
        from masdsl.cli.boundary import explain_failure

        return explain_failure(error, given)


def _traced(run: Callable[[list[str]], int], rest: list[str]) -> int:
    """Carry out a command whose runs are traced, if the environment says so."""
    from masdsl.tracing.exporting import begin

    end = begin(os.environ, lambda why: print(f"mas: {why}", file=sys.stderr))
    try:
        return run(rest)
    finally:
        end()


def _dispatch(given: list[str]) -> int:
    command, *rest = given or ["--help"]
    if command in COMMANDS:
        from importlib import import_module

        run: Callable[[list[str]], int] = import_module(f"masdsl.cli.{MODULES.get(command, command)}").run
        return _traced(run, rest) if command in TRACED else run(rest)
    if command in ("--help", "-h", "help"):
        if rest and rest[0] in COMMANDS:
            return _dispatch([rest[0], "--help"])
        print(usage(), end="")
        return FINE
    if command in ("--version", "-V"):
        from masdsl import __version__

        print(f"masdsl {__version__}")
        return FINE
    from masdsl.cli.boundary import UsageError
    from masdsl.diagnostics.suggest import nearest

    near = nearest(command, COMMANDS)
    what = "option" if command.startswith("-") else "command"
    raise UsageError(
        f"there is no {what} `{command}`", f"did you mean `mas {near}`?" if near else "`mas --help` lists all"
    )


def usage() -> str:
    """Return what `mas --help` prints."""
    width = max(len(name) for name in COMMANDS)
    lines = [f"  {name.ljust(width)}  {what}" for name, what in COMMANDS.items()]
    return "\n".join(
        [
            "usage: mas COMMAND ...",
            "",
            *lines,
            "",
            "`mas COMMAND --help` says more; `mas --version` shows the version.",
            "",
        ]
    )


def collect_garbage_less_often() -> None:
    """Trees are many objects without cycles: looking for cycles at Python's usual rate takes a tenth of a check."""
    import gc

    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


def _silence_stdout() -> None:
    """Let nothing complain at exit about the pipe that nobody reads any more."""
    import os

    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (OSError, ValueError):
        pass
