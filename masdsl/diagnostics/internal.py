"""MAS000: a fault of masdsl itself. The command line turns every unexpected exception into it, so that nobody meets a
traceback."""

from __future__ import annotations

from masdsl.diagnostics.base import Diagnostic


class InternalError(Diagnostic):
    """masdsl itself failed on this program.

    Why: every program, however wrong, should be answered with a result or with an error about the program. Here masdsl
    came upon a case that its authors did not think of. The program may be in order.

    Report it with the program (or the smallest part of it that still shows the error), the version (`mas --version`)
    and the place that the message names. To go on meanwhile, take back the last change of the program and make it in
    smaller steps.
    """

    code = "MAS000"
    what: str
    where: str

    def title(self) -> str:
        return f"masdsl failed: {self.what}"

    def label(self) -> str:
        return "while working on this file"

    def help(self) -> str:
        return f"this is a fault of masdsl, not of the program; report it with the program and this place: {self.where}"


class WorkerDied(Diagnostic):
    """A process that worked on this file ended before it was done, and so did another one that tried again.

    Why: `mas check`, `mas cost`, `mas fmt` and `mas test` work on large trees in several processes, so that one file
    cannot stop the others. The system ends a process that takes too much memory (`SIGKILL`); a fault in Python or in a
    library ends it as well (`SIGSEGV`, `SIGABRT`). The program may be in order.

    Work on this file alone, with `--jobs 1`, to see what happens. Where it is memory, give the machine more, or let
    fewer processes work at the same time.
    """

    code = "MAS007"
    reason: str

    def title(self) -> str:
        return f"a process ended while it worked on this file: {self.reason}"

    def label(self) -> str:
        return "while working on this file"

    def help(self) -> str:
        return "try this file alone, with `--jobs 1`; report it if masdsl fails there too"


class OutOfResources(Diagnostic):
    """The machine has too little memory, or Python too little stack, for this program.

    Why: the limits on size and nesting (MAS009) keep every program within what a usual machine has. This one has less,
    or masdsl was called from deep inside another program.
    """

    code = "MAS008"
    what: str

    def title(self) -> str:
        return f"not enough {self.what} to work on this program"

    def label(self) -> str:
        return "while working on this file"

    def help(self) -> str:
        return "give the process more room, or split the program into modules and `use` them"
