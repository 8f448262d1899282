"""MAS94x: what goes wrong with model-written Python, at the line of it where that happened."""

from __future__ import annotations

from masdsl.diagnostics.base import Diagnostic


class NoSandbox(Diagnostic):
    """Python of a model was not run, because no tier of the sandbox works on this machine.

    Why: such Python is run where it can compute and do nothing else, or not at all; there is no switch for running it
    anyway. A tier counts as working when a program in it has tried some thirty things that no program may do, and
    could do none of them. A tier needs: bubblewrap and user namespaces (`bwrap+lockdown`), Linux 5.13 with Landlock and
    seccomp on x86_64 or aarch64 (`lockdown`), the package pydantic-monty (`monty`).

    To go on: `mas sandbox` shows what each tier lacks. The shortest ways are to install bubblewrap, or
    `pip install 'masdsl[code]'`.
    """

    code = "MAS940"
    lacking: tuple[tuple[str, str], ...]
    """Tiers, and why each does not work."""

    def title(self) -> str:
        only = f"the tier {self.lacking[0][0]}" if len(self.lacking) == 1 else "no tier"
        return (
            f"{only} of the sandbox {'does not work' if len(self.lacking) == 1 else 'works'} here, so nothing was run"
        )

    def label(self) -> str:
        return ""

    def help(self) -> str:
        return "; ".join(f"{tier}: {why}" for tier, why in self.lacking) + (
            "; install bubblewrap, or `pip install 'masdsl[code]'`"
        )


class SandboxLimit(Diagnostic):
    """A program in the sandbox went beyond what it may take.

    Why: a model's program may run for ever, print without end or fill the memory. So it has 10 seconds of wall time, 5
    of a processor, 512 MiB and 64 KiB of output, unless whoever runs it says otherwise, and never a second process.
    What it printed until then counts as printed.

    To go on: ask the model for less work, or for a better algorithm. For a tool, the `timeout` of its declaration is
    the wall time if that is shorter.
    """

    code = "MAS941"
    reason: str

    def title(self) -> str:
        return f"the program was stopped: {self.reason}"

    def label(self) -> str:
        return ""

    def help(self) -> str:
        return "let it do less, or raise the limit if the work is worth it"


class SandboxedProgramFailed(Diagnostic):
    """A program in the sandbox raised an exception, failed a test, or left without a result.

    Why: the program is wrong, or it asked for what nothing in a sandbox has: files, the network, other processes,
    packages beyond the standard library. The message is what a model is shown that is to mend it.
    """

    code = "MAS942"
    message: str

    def title(self) -> str:
        first, _, more = self.message.partition("\n")
        return f"the program failed: {first}" + (" ..." if more else "")

    def label(self) -> str:
        return "failed here" if self.span.end > self.span.start else ""

    def help(self) -> str:
        return "mend the program; in a sandbox there are no files, no network and no packages but the standard library"
