"""MAS96x: what is to become a module of the user's library, and what is damaged there."""

from __future__ import annotations

from masdsl.diagnostics.base import WARNING, Diagnostic


class NotDocumented(Diagnostic):
    """A declaration that is to go into the library does not say what it is for.

    Why: a module of the library is found again, by people and by the generator of `mas design`, by what it says of
    itself: the `##` comment right above its declaration. Without one nobody can tell when to use it.

    To go on: write what it does, when it helps, and what it costs, in a sentence or two.
    """

    code = "MAS960"
    kind: str
    name: str

    def title(self) -> str:
        return f"nothing says what the {self.kind} `{self.name}` is for"

    def label(self) -> str:
        return "no `##` comment above it"

    def help(self) -> str:
        return f"write a line above it, as in: ## What `{self.name}` does, and when it helps"


class NotTested(Diagnostic):
    """A declaration that is to go into the library is not tested by its program.

    Why: whatever is in the library is used by programs that nobody has written yet. Tests run offline and cost nothing;
    they are what shows a later change that breaks it.

    To go on: write a `test` block that calls it, directly or through a flow.
    """

    code = "MAS961"
    kind: str
    name: str

    def title(self) -> str:
        return f"no test uses the {self.kind} `{self.name}`"

    def label(self) -> str:
        return "not tested"

    def help(self) -> str:
        return f'add a test with `given`, as in: test "it answers" {{ .. out = {self.name}(..) expect .. }}'


class ImportsBeside(Diagnostic):
    """A program that is to go into the library imports a file that lies beside it.

    Why: a module of the library is one file, which works wherever it is imported from. Only modules of the standard
    library and of the library itself are there as well.

    To go on: write the declarations into the program, or put that file into the library first and import it from there.
    """

    code = "MAS962"
    module: str

    def title(self) -> str:
        return f"a module of the library cannot import `{self.module}`, a file beside it"

    def label(self) -> str:
        return "not in the library"

    def help(self) -> str:
        last = self.module.rpartition(".")[2]
        return f"put that file into the library first (`mas library add {last}.mas`) and write `use library.{last}`"


class AlreadyThere(Diagnostic):
    """The library has this very program already.

    Why: two programs that differ only in layout, comments, tests and the names of locals are one program, by its
    canonical hash. A second copy would be offered twice and measured by halves.

    To go on: import the one that is there, or remove it first to take it in under another name.
    """

    code = "MAS963"
    name: str

    def title(self) -> str:
        return f"the library has this program already, as `{self.name}`"

    def label(self) -> str:
        return "the same program"

    def help(self) -> str:
        return f"import it: use library.{self.name}; `mas library show {self.name}` shows it"


class NameTaken(Diagnostic):
    """The library has another module of this name.

    Why: programs import it by that name. Nothing is overwritten, so that they keep what they were checked with.

    To go on: choose another name, or remove the module that is there.
    """

    code = "MAS964"
    name: str

    def title(self) -> str:
        return f"the library has another module `{self.name}`"

    def label(self) -> str:
        return "its name is taken"

    def help(self) -> str:
        return f"give it another name with --as NAME, or remove the other one: mas library remove {self.name}"


class NotProved(Diagnostic):
    """A program gave fewer right answers on an evaluation than it has to.

    Why: what is in the library is offered to the generator as something that works. The share is that of `--share`, by
    default one half.

    To go on: look at what it answered (`--json` shows every query), improve it, or state a lower share.
    """

    code = "MAS965"
    name: str
    right: int
    runs: int
    share: float

    def title(self) -> str:
        return f"`{self.name}` gave {self.right} of {self.runs} right answers, and needs a share of {self.share:g}"

    def label(self) -> str:
        return "not proved by its evaluation"

    def help(self) -> str:
        return "see each answer with --json, and improve it; or state a lower share: --share"


class DamagedEntry(Diagnostic):
    """A file of the library cannot be read as what it has to be.

    Why: records of modules and rules are kept as JSON. A file that was cut off or edited says nothing that may be
    relied upon, so it is left out, and never overwritten by guesses.

    To go on: mend the line, remove it, or remove the module and add it again.
    """

    code = "MAS966"
    severity = WARNING
    what: str
    reason: str
    action: str

    def title(self) -> str:
        return f"{self.what} cannot be read: {self.reason}"

    def label(self) -> str:
        return "left out"

    def help(self) -> str:
        return self.action


class DamagedQuery(Diagnostic):
    """A row of a data set is no sample for the flow that is to be run on it.

    Why: a sample has a value for each parameter of the flow: in columns of their names, in an object `inputs`, or, for
    the one that has to be passed, as `query`; and mostly an `answer`. A row that is skipped would change what a share
    or a mean says.

    To go on: mend the row, or say which column is meant: `--map question=Problem`.
    """

    code = "MAS967"
    reason: str
    action: str = ""

    def title(self) -> str:
        return f"this row is no sample: {self.reason}"

    def label(self) -> str:
        return "no sample"

    def help(self) -> str:
        return self.action or 'write a line as {"query": "What is 6 * 7?", "answer": "42"}'
