"""MAS1xx: names and modules."""

from __future__ import annotations

from masdsl.diagnostics.base import Diagnostic, Fix, Label
from masdsl.diagnostics.suggest import near_fix
from masdsl.node import Span


def _near(near: str | None, otherwise: str) -> str:
    return f"did you mean `{near}`?" if near else otherwise


class UndefinedName(Diagnostic):
    """A name is used that nothing has bound.

    Why: every value comes from a parameter, or from a step above it in the same block or around it.

    Bad:
        mas 1
        agent writer(topic) -> text "Write about {{ topic }}."
        flow main(topic) -> text {
          draft = writer(topic)
          return drafts
        }

    Good:
        mas 1
        agent writer(topic) -> text "Write about {{ topic }}."
        flow main(topic) -> text {
          draft = writer(topic)
          return draft
        }
    """

    code = "MAS101"
    name: str
    near: str | None
    near_line: int | None

    def title(self) -> str:
        return f"`{self.name}` is not defined"

    def label(self) -> str:
        return "no step or input above has this name"

    def help(self) -> str:
        if self.near and self.near_line:
            return f"did you mean `{self.near}`, bound on line {self.near_line}?"
        return _near(self.near, f"bind it above with `{self.name} = ...`, or add it as a parameter of the flow")

    def fix(self) -> Fix | None:
        return near_fix(self.name, self.near, self.span)


class UndefinedCallee(Diagnostic):
    """Something is called that is no agent, tool, flow or built-in function.

    Why: what a program calls is known before it runs; that is what makes its cost known.

    Bad:
        mas 1
        agent writer(topic) -> text "Write about {{ topic }}."
        flow main(topic) -> text {
          return writr(topic)
        }

    Good:
        mas 1
        agent writer(topic) -> text "Write about {{ topic }}."
        flow main(topic) -> text {
          return writer(topic)
        }
    """

    code = "MAS102"
    name: str
    near: str | None

    def title(self) -> str:
        return f"`{self.name}` is not an agent, tool, flow or built-in function"

    def label(self) -> str:
        return "not declared above"

    def help(self) -> str:
        return _near(
            self.near, f'declare it above, as in `agent {self.name}(...) -> text "..."`, or import it with `use`'
        )

    def fix(self) -> Fix | None:
        return near_fix(self.name, self.near, self.span)


class UndefinedType(Diagnostic):
    """A type is named that does not exist.

    Why: the types are `text`, `int`, `float`, `bool`, and those declared with `type` or imported with `use`, above
    their use.

    Bad:
        mas 1
        agent count_words(topic) -> integer "How many words has {{ topic }}?"
        flow main(topic) -> text {
          n = count_words(topic)
          return text(n)
        }

    Good:
        mas 1
        agent count_words(topic) -> int "How many words has {{ topic }}?"
        flow main(topic) -> text {
          n = count_words(topic)
          return text(n)
        }
    """

    code = "MAS103"
    name: str
    near: str | None

    def title(self) -> str:
        return f"there is no type `{self.name}`"

    def label(self) -> str:
        return "unknown type"

    def help(self) -> str:
        return _near(
            self.near, f"declare it above, as in `type {self.name[:1].upper() + self.name[1:]} {{ name: text }}`"
        )

    def fix(self) -> Fix | None:
        return near_fix(self.name, self.near, self.span)


class UnknownField(Diagnostic):
    """A field is read or given that its record does not have.

    Why: a reply is parsed to the declared type, so only declared fields can exist.

    Bad:
        mas 1
        type Review { ok: bool, issues: text(60)[8] }
        agent reviewer(code) -> Review "Review {{ code }}."
        flow main(code) -> text {
          review = reviewer(code)
          return join(review.isues, ", ")
        }

    Good:
        mas 1
        type Review { ok: bool, issues: text(60)[8] }
        agent reviewer(code) -> Review "Review {{ code }}."
        flow main(code) -> text {
          review = reviewer(code)
          return join(review.issues, ", ")
        }
    """

    code = "MAS104"
    field: str
    record: str
    fields: tuple[str, ...]
    near: str | None

    def title(self) -> str:
        return f"`{self.record}` has no field `{self.field}`"

    def label(self) -> str:
        return "no such field"

    def help(self) -> str:
        return _near(self.near, "its fields are " + ", ".join(f"`{field}`" for field in self.fields))

    def fix(self) -> Fix | None:
        return near_fix(self.field, self.near, self.span)


class UnknownWord(Diagnostic):
    """A word is used that its enum does not have.

    Why: an enum has exactly the words of its declaration, so a misspelt one could never match.

    Bad:
        mas 1
        type Kind = math | code
        agent sort_out(question) -> Kind "What kind of question is {{ question }}?"
        flow main(question) -> bool {
          kind = sort_out(question)
          return kind == Kind.maths
        }

    Good:
        mas 1
        type Kind = math | code
        agent sort_out(question) -> Kind "What kind of question is {{ question }}?"
        flow main(question) -> bool {
          kind = sort_out(question)
          return kind == Kind.math
        }
    """

    code = "MAS105"
    word: str
    enum: str
    words: tuple[str, ...]
    near: str | None

    def title(self) -> str:
        return f"`{self.word}` is not a word of `{self.enum}`"

    def label(self) -> str:
        return "unknown word"

    def help(self) -> str:
        return _near(self.near, "its words are " + ", ".join(f"`{word}`" for word in self.words))

    def fix(self) -> Fix | None:
        return near_fix(self.word, self.near, self.span)


class UnknownParameter(Diagnostic):
    """An argument is passed by a name that the callee does not have.

    Why: named arguments are matched exactly, so a misspelt one would be lost.

    Bad:
        mas 1
        agent coder(spec, notes: text?) -> text "Write {{ spec }}. {{ notes }}"
        flow main(spec) -> text {
          return coder(spec, note: "be short")
        }

    Good:
        mas 1
        agent coder(spec, notes: text?) -> text "Write {{ spec }}. {{ notes }}"
        flow main(spec) -> text {
          return coder(spec, notes: "be short")
        }
    """

    code = "MAS106"
    name: str
    callee: str
    signature: str
    near: str | None

    def title(self) -> str:
        return f"`{self.callee}` has no parameter `{self.name}`"

    def label(self) -> str:
        return "no such parameter"

    def help(self) -> str:
        return _near(self.near, f"it is declared as `{self.signature}`")

    def fix(self) -> Fix | None:
        return near_fix(self.name, self.near, self.span)


class DuplicateName(Diagnostic):
    """A name is declared that is already taken.

    Why: there is no shadowing: one name means one thing in a whole file, for people, patches and models alike.

    Bad:
        mas 1
        agent writer(topic) -> text "Write about {{ topic }}."
        agent writer(topic) -> text "Write a poem about {{ topic }}."
        flow main(topic) -> text {
          return writer(topic)
        }

    Good:
        mas 1
        agent writer(topic) -> text "Write about {{ topic }}."
        agent poet(topic) -> text "Write a poem about {{ topic }}."
        flow main(topic) -> text {
          draft = writer(topic)
          return poet(draft)
        }
    """

    code = "MAS107"
    name: str
    taken_by: str
    first: Span | None

    def title(self) -> str:
        return f"the name `{self.name}` is already taken by {self.taken_by}"

    def label(self) -> str:
        return "declared again here"

    def labels(self) -> tuple[Label, ...]:
        return (Label(self.first, "first declared here"),) if self.first else ()

    def help(self) -> str:
        return f"choose another name, such as `{self.name}_2`"


class DeclaredBelow(Diagnostic):
    """A declaration is used above the place where it stands.

    Why: everything is declared before it is used. That alone makes recursion impossible, so that every program ends.

    Bad:
        mas 1
        flow main(topic) -> text {
          return writer(topic)
        }
        agent writer(topic) -> text "Write about {{ topic }}."

    Good:
        mas 1
        agent writer(topic) -> text "Write about {{ topic }}."
        flow main(topic) -> text {
          return writer(topic)
        }
    """

    code = "MAS108"
    name: str
    line: int
    declared: Span

    def title(self) -> str:
        return f"`{self.name}` is declared below its use"

    def label(self) -> str:
        return "used here"

    def labels(self) -> tuple[Label, ...]:
        return (Label(self.declared, "declared here"),)

    def help(self) -> str:
        return f"move the declaration of `{self.name}` (line {self.line}) above this one"


class Recursion(Diagnostic):
    """A flow calls itself.

    Why: every program ends, so a flow can never call itself, neither directly nor through others. Use `loop n { .. }`.

    Bad:
        mas 1
        agent improve(draft) -> text "Improve {{ draft }}."
        flow main(draft) -> text {
          better = improve(draft)
          return main(better)
        }

    Good:
        mas 1
        agent improve(draft) -> text "Improve {{ draft }}."
        flow main(draft) -> text {
          better = improve(draft)
          loop 3 {
            better = improve(better)
          }
          return better
        }
    """

    code = "MAS109"
    name: str

    def title(self) -> str:
        return f"flow `{self.name}` calls itself"

    def label(self) -> str:
        return "recursion is not possible"

    def help(self) -> str:
        return "repeat steps with `loop n { .. }`, whose bound is known before the run"


class ModuleNotFound(Diagnostic):
    """A module is imported that does not exist.

    Why: `use std.name` means a module of the standard library; `use a.b` means the file `a/b.mas` beside the
    importing one.

    Bad:
        mas 1
        use std.votes
        flow main(topic) -> text {
          return topic
        }

    Good:
        mas 1
        use std.vote
        agent writer(topic) -> text "Write about {{ topic }}."
        flow main(topic) -> text {
          drafts = 3 of writer(topic)
          return vote(drafts)
        }
    """

    code = "MAS110"
    module: str
    reason: str
    near: str | None

    def title(self) -> str:
        return f"there is no module `{self.module}`: {self.reason}"

    def label(self) -> str:
        return "not found"

    def help(self) -> str:
        if self.module.startswith("std."):
            return _near(self.near, "see the folder stdlib for the modules that there are")
        return _near(self.near, "create the file, or correct the path (it is relative to the importing file)")


class ImportCycle(Diagnostic):
    """Modules import one another in a circle.

    Why: a circle of imports would allow recursion between files; modules form a hierarchy.

    Setup:
        File helpers.mas:
            mas 1
            use program: tidy
            flow twice(x) -> text { return x + x }

    Bad:
        mas 1
        use helpers: twice
        flow tidy(x) -> text { return trim(x) }

    Good:
        mas 1
        flow tidy(x) -> text { return trim(x) }
    """

    code = "MAS111"
    chain: tuple[str, ...]

    def title(self) -> str:
        return "modules import one another: " + " -> ".join(f"`{name}`" for name in self.chain)

    def label(self) -> str:
        return "this import closes the circle"

    def help(self) -> str:
        return "move what both need into a third module"


class NotInModule(Diagnostic):
    """A name is imported that the module does not declare.

    Why: `use module` imports the declaration called like the module; `use module: a, B` names what to import.

    Bad:
        mas 1
        use std.vote: majority_of
        agent writer(topic) -> text "Write about {{ topic }}."
        flow main(topic) -> text {
          drafts = 3 of writer(topic)
          return majority_of(drafts)
        }

    Good:
        mas 1
        use std.vote: vote
        agent writer(topic) -> text "Write about {{ topic }}."
        flow main(topic) -> text {
          drafts = 3 of writer(topic)
          return vote(drafts)
        }
    """

    code = "MAS112"
    name: str
    module: str
    names: tuple[str, ...]
    near: str | None

    def title(self) -> str:
        return f"module `{self.module}` declares no `{self.name}`"

    def label(self) -> str:
        return "not in the module"

    def help(self) -> str:
        listed = ", ".join(f"`{name}`" for name in self.names) or "nothing"
        return _near(self.near, f"it declares {listed}; import as in `use {self.module}: name`")


class NotCallable(Diagnostic):
    """A value is called as if it were an agent.

    Why: only agents, tools, flows and built-in functions can be called.

    Bad:
        mas 1
        agent writer(topic) -> text "Write about {{ topic }}."
        flow main(topic) -> text {
          draft = writer(topic)
          return draft(topic)
        }

    Good:
        mas 1
        agent writer(topic) -> text "Write about {{ topic }}."
        flow main(topic) -> text {
          draft = writer(topic)
          return writer(draft)
        }
    """

    code = "MAS114"
    name: str
    what: str

    def title(self) -> str:
        return f"`{self.name}` is {self.what} and cannot be called"

    def label(self) -> str:
        return "called here"

    def help(self) -> str:
        return "call an agent, a tool, a flow or a built-in function"


class NotAValue(Diagnostic):
    """An agent, tool, flow or type is used as a value.

    Why: they can only be called (or, an agent, be passed to a flow's parameter of an agent type); they are no data.

    Bad:
        mas 1
        agent writer(topic) -> text "Write about {{ topic }}."
        flow main(topic) -> text {
          return writer
        }

    Good:
        mas 1
        agent writer(topic) -> text "Write about {{ topic }}."
        flow main(topic) -> text {
          return writer(topic)
        }
    """

    code = "MAS115"
    name: str
    what: str

    def title(self) -> str:
        return f"`{self.name}` is {self.what}, not a value"

    def label(self) -> str:
        return "used as a value"

    def help(self) -> str:
        return f"call it: `{self.name}(...)`"


class ExternOutsideStd(Diagnostic):
    """`extern` declares a function that is written in Python, and stands in a module of one's own.

    Why: what a program can do outside of itself is what its host grants by name, as tools. The functions behind
    `extern` belong to the standard library, which comes with the compiler.

    Bad:
        mas 1
        extern shuffle(topic) -> text
        flow main(topic) -> text { return shuffle(topic) }

    Good:
        mas 1
        use std.text: normalise
        flow main(topic) -> text { return normalise(topic) }
    """

    code = "MAS116"
    name: str

    def title(self) -> str:
        return f"`extern {self.name}` stands outside of the standard library"

    def label(self) -> str:
        return "only modules of std declare functions of Python"

    def help(self) -> str:
        return "write it as a flow, or declare a tool and let the host grant it in mas.toml"


class UnknownTier(Diagnostic):
    """An agent runs on a tier that the configuration does not have.

    Why: `on fast` names a tier of `[tiers]` in `mas.toml`; the model behind it is chosen there, not in the program.

    Bad:
        mas 1
        agent writer(topic) -> text on fsat "Write about {{ topic }}."
        flow main(topic) -> text { return writer(topic) }

    Good:
        mas 1
        agent writer(topic) -> text on fast "Write about {{ topic }}."
        flow main(topic) -> text { return writer(topic) }
    """

    code = "MAS120"
    name: str
    tiers: tuple[str, ...]
    near: str | None

    def title(self) -> str:
        return f"there is no tier `{self.name}`"

    def label(self) -> str:
        return "not configured"

    def help(self) -> str:
        listed = ", ".join(f"`{tier}`" for tier in self.tiers)
        return _near(
            self.near, f'the tiers are {listed}; add it under [tiers] in mas.toml, or name a model: on "model"'
        )

    def fix(self) -> Fix | None:
        return near_fix(self.name, self.near, self.span)
