"""MAS2xx: types."""

from __future__ import annotations

from masdsl.diagnostics.base import Diagnostic, Fix


class TypeMismatch(Diagnostic):
    """A value has another type than its place expects.

    Why: replies are parsed to declared types, so a value's type is known; nothing is converted silently but an int to
    a float.

    Bad:
        mas 1
        agent count_words(topic) -> int "How many words has {{ topic }}?"
        agent writer(topic, words: int) -> text "Write {{ words }} words about {{ topic }}."
        flow main(topic) -> text {
          return writer(40, topic)
        }

    Good:
        mas 1
        agent writer(topic, words: int) -> text "Write {{ words }} words about {{ topic }}."
        flow main(topic) -> text {
          return writer(topic, 40)
        }
    """

    code = "MAS201"
    place: str
    expected: str
    given: str
    hint: str
    change: Fix | None = None

    def title(self) -> str:
        return f"{self.place} must be `{self.expected}`, not `{self.given}`"

    def label(self) -> str:
        return f"this is `{self.given}`"

    def help(self) -> str:
        return self.hint or f"give a value of type `{self.expected}`"

    def fix(self) -> Fix | None:
        return self.change


class MayBeNone(Diagnostic):
    """A value that may be none is used where a value is needed.

    Why: an optional has to be looked at before it is used; otherwise a missing value would surface far from where it
    arose.

    Bad:
        mas 1
        flow main(topics: text[4]) -> text {
          topic = first(topics)
          return topic + "!"
        }

    Good:
        mas 1
        flow main(topics: text[4]) -> text {
          topic = first(topics) else "nothing"
          return topic + "!"
        }
    """

    code = "MAS202"
    place: str
    given: str

    def title(self) -> str:
        return f"{self.place} may be none: it is `{self.given}`"

    def label(self) -> str:
        return f"this is `{self.given}`"

    def help(self) -> str:
        return "give a fallback, on a line of its own: `name = value else other`, or test it: `if name != none { .. }`"


class OperandTypes(Diagnostic):
    """An operator is applied to types that it is not defined for.

    Why: `+` adds numbers and joins texts and lists; `- * /` and `<` take numbers; `==` compares values of one type.

    Bad:
        mas 1
        flow main(topic, n: int) -> text {
          return topic + n
        }

    Good:
        mas 1
        flow main(topic, n: int) -> text {
          return topic + text(n)
        }
    """

    code = "MAS203"
    op: str
    left: str
    right: str
    hint: str

    def title(self) -> str:
        return (
            f"`{self.op}` does not apply to `{self.left}` and `{self.right}`"
            if self.right
            else f"`{self.op}` does not apply to `{self.left}`"
        )

    def label(self) -> str:
        return "not defined for these types"

    def help(self) -> str:
        return self.hint or "convert one side: `text(x)`, `number(x) else 0.0`, `int(x) else 0`"


class ConditionNotBool(Diagnostic):
    """A condition is not a bool.

    Why: texts and lists are neither true nor false; a condition says what it tests, so that it means the same to
    every reader.

    Bad:
        mas 1
        flow main(topic) -> text {
          if topic {
            return topic
          }
          return "nothing"
        }

    Good:
        mas 1
        flow main(topic) -> text {
          if topic != "" {
            return topic
          }
          return "nothing"
        }
    """

    code = "MAS204"
    given: str
    hint: str

    def title(self) -> str:
        return f"a condition must be `bool`, not `{self.given}`"

    def label(self) -> str:
        return f"this is `{self.given}`"

    def help(self) -> str:
        return self.hint


class MissingArgument(Diagnostic):
    """A call leaves out a parameter that has no default.

    Why: every input of a step is known before it runs.

    Bad:
        mas 1
        agent writer(topic, style) -> text "Write about {{ topic }} in the style of {{ style }}."
        flow main(topic, tone) -> text {
          return writer(topic)
        }

    Good:
        mas 1
        agent writer(topic, style) -> text "Write about {{ topic }} in the style of {{ style }}."
        flow main(topic, tone) -> text {
          return writer(topic, style: tone)
        }
    """

    code = "MAS205"
    callee: str
    missing: tuple[str, ...]
    signature: str
    change: Fix | None = None

    def title(self) -> str:
        return f"the call of `{self.callee}` lacks " + ", ".join(f"`{name}`" for name in self.missing)

    def label(self) -> str:
        return "argument missing"

    def help(self) -> str:
        return f"it is declared as `{self.signature}`"

    def fix(self) -> Fix | None:
        return self.change


class TooManyArguments(Diagnostic):
    """A call passes more arguments than there are parameters, or one twice.

    Why: arguments match parameters one to one.

    Bad:
        mas 1
        agent writer(topic) -> text "Write about {{ topic }}."
        flow main(topic) -> text {
          return writer(topic, "briefly")
        }

    Good:
        mas 1
        agent writer(topic) -> text "Write about {{ topic }}."
        flow main(topic) -> text {
          return writer(topic)
        }
    """

    code = "MAS206"
    callee: str
    signature: str
    twice: str | None

    def title(self) -> str:
        return (
            f"`{self.callee}` gets `{self.twice}` twice"
            if self.twice
            else f"`{self.callee}` does not take this many arguments"
        )

    def label(self) -> str:
        return "one too many"

    def help(self) -> str:
        return f"it is declared as `{self.signature}`"


class MissingField(Diagnostic):
    """A record is written without all of its fields.

    Why: a record always has every field; an optional one may be left out.

    Bad:
        mas 1
        type Review { ok: bool, note: text }
        flow main(note) -> Review {
          return Review(note: note)
        }

    Good:
        mas 1
        type Review { ok: bool, note: text }
        flow main(note) -> Review {
          return Review(ok: true, note: note)
        }
    """

    code = "MAS207"
    record: str
    missing: tuple[str, ...]

    def title(self) -> str:
        return f"`{self.record}` also needs " + ", ".join(f"`{name}`" for name in self.missing)

    def label(self) -> str:
        return "field missing"

    def help(self) -> str:
        return "add " + ", ".join(f"`{name}: ...`" for name in self.missing)


class NoFields(Diagnostic):
    """A field is read from something that is no record.

    Why: only records have fields.

    Bad:
        mas 1
        flow main(topic) -> int {
          return topic.length
        }

    Good:
        mas 1
        flow main(topic) -> int {
          return len(topic)
        }
    """

    code = "MAS208"
    field: str
    given: str

    def title(self) -> str:
        return f"`{self.given}` has no fields, so no `{self.field}`"

    def label(self) -> str:
        return "not a record"

    def help(self) -> str:
        return "read fields of records only; the built-in functions work on other values, as in `len(x)`"


class NotAList(Diagnostic):
    """Something that is no list is used as one.

    Why: `for`, `each`, `+=` and indexing work on lists, whose greatest length is known.

    Bad:
        mas 1
        agent shorten(topic) -> text "Shorten {{ topic }}."
        flow main(topic) -> text[8] {
          parts = each line in topic: shorten(line)
          return parts
        }

    Good:
        mas 1
        agent shorten(topic) -> text "Shorten {{ topic }}."
        flow main(topic) -> text[64] {
          parts = each line in lines(topic): shorten(line)
          return parts
        }
    """

    code = "MAS209"
    place: str
    given: str

    def title(self) -> str:
        return f"{self.place} must be a list, not `{self.given}`"

    def label(self) -> str:
        return f"this is `{self.given}`"

    def help(self) -> str:
        return 'make a list of it: `[x]`, `lines(x)` or `split(x, ",")`'


class CannotInfer(Diagnostic):
    """A static parameter of a flow cannot be told from the call.

    Why: type parameters and sizes follow from the arguments; other integers are passed by name or have a default.

    Bad:
        mas 1
        agent writer(topic) -> text "Write about {{ topic }}."
        flow several[n](topic) -> text {
          drafts = n of writer(topic)
          return join(drafts, " ")
        }
        flow main(topic) -> text {
          return several(topic)
        }

    Good:
        mas 1
        agent writer(topic) -> text "Write about {{ topic }}."
        flow several[n](topic) -> text {
          drafts = n of writer(topic)
          return join(drafts, " ")
        }
        flow main(topic) -> text {
          return several(topic, n: 3)
        }
    """

    code = "MAS210"
    flow: str
    static: str

    def title(self) -> str:
        return f"`{self.static}` of `{self.flow}` cannot be told from this call"

    def label(self) -> str:
        return "unknown here"

    def help(self) -> str:
        return (
            f"pass it: `{self.static}: 3`"
            if self.static[:1].islower()
            else f"pass an argument whose type shows what `{self.static}` is"
        )


class BadStatic(Diagnostic):
    """A static integer is not known at compile time, or out of range.

    Why: counts of loops and samples are known before the run; so is the cost.

    Bad:
        mas 1
        agent writer(topic) -> text "Write about {{ topic }}."
        flow several[n](topic) -> text {
          drafts = n of writer(topic)
          return join(drafts, " ")
        }
        flow main(topic, times: int) -> text {
          return several(topic, n: times)
        }

    Good:
        mas 1
        agent writer(topic) -> text "Write about {{ topic }}."
        flow several[n](topic) -> text {
          drafts = n of writer(topic)
          return join(drafts, " ")
        }
        flow main(topic) -> text {
          return several(topic, n: 5)
        }
    """

    code = "MAS211"
    name: str
    problem: str

    def title(self) -> str:
        return f"`{self.name}` {self.problem}"

    def label(self) -> str:
        return "must be known at compile time"

    def help(self) -> str:
        return "write a whole number, or the name of a static parameter of this flow"


class BadAgentArgument(Diagnostic):
    """An agent is passed whose signature does not fit the parameter.

    Why: what a flow calls must take and give what the flow relies on.

    Bad:
        mas 1
        agent count_words(topic) -> int "How many words has {{ topic }}?"
        flow twice(solve: agent(text) -> text, task) -> text {
          one = solve(task)
          return solve(one)
        }
        flow main(task) -> text {
          return twice(count_words, task)
        }

    Good:
        mas 1
        agent improve(topic) -> text "Improve {{ topic }}."
        flow twice(solve: agent(text) -> text, task) -> text {
          one = solve(task)
          return solve(one)
        }
        flow main(task) -> text {
          return twice(improve, task)
        }
    """

    code = "MAS212"
    parameter: str
    expected: str
    given: str

    def title(self) -> str:
        return f"`{self.parameter}` must be `{self.expected}`: {self.given}"

    def label(self) -> str:
        return "does not fit"

    def help(self) -> str:
        return "pass the name of an agent (or tool or flow) that takes and gives these types"


class SizeMisplaced(Diagnostic):
    """A size is written on a type that has none, or is out of range.

    Why: only text has a size, in tokens; lists have a greatest length in brackets.

    Bad:
        mas 1
        flow main(n: int(5)) -> int { return n }

    Good:
        mas 1
        flow main(n: int, topic: text(50)) -> int { return n + len(topic) }
    """

    code = "MAS213"
    problem: str

    def title(self) -> str:
        return self.problem

    def label(self) -> str:
        return "not a size"

    def help(self) -> str:
        return "write text(tokens) for text and T[items] for lists, each at least 1"


class NoCommonType(Diagnostic):
    """Alternatives have types that have nothing in common.

    Why: a name has one type, whichever way the run went.

    Bad:
        mas 1
        flow main(n: int) -> text {
          if n > 1 {
            size = "many"
          } else {
            size = n
          }
          return text(size)
        }

    Good:
        mas 1
        flow main(n: int) -> text {
          if n > 1 {
            size = "many"
          } else {
            size = text(n)
          }
          return size
        }
    """

    code = "MAS214"
    place: str
    first: str
    second: str

    def title(self) -> str:
        return f"{self.place} would be `{self.first}` or `{self.second}`"

    def label(self) -> str:
        return f"this is `{self.second}`"

    def help(self) -> str:
        return "make both alternatives the same type"


class BadAttribute(Diagnostic):
    """An attribute of an agent, tool, budget or test has a value that makes no sense, or stands twice.

    Why: attributes are checked before the run, not by the provider.

    Bad:
        mas 1
        agent writer(topic) -> text temp 9.5 "Write about {{ topic }}."
        flow main(topic) -> text { return writer(topic) }

    Good:
        mas 1
        agent writer(topic) -> text temp 0.5 "Write about {{ topic }}."
        flow main(topic) -> text { return writer(topic) }
    """

    code = "MAS215"
    attribute: str
    problem: str
    advice: str

    def title(self) -> str:
        return f"`{self.attribute}` {self.problem}"

    def label(self) -> str:
        return "not possible"

    def help(self) -> str:
        return self.advice


class BuiltinArguments(Diagnostic):
    """A built-in function is called with arguments that it does not take.

    Why: each built-in function has one documented signature.

    Bad:
        mas 1
        flow main(n: int) -> int { return len(n) }

    Good:
        mas 1
        flow main(topic) -> int { return len(topic) }
    """

    code = "MAS216"
    name: str
    signature: str
    given: str

    def title(self) -> str:
        return f"`{self.name}` does not take ({self.given})"

    def label(self) -> str:
        return "wrong arguments"

    def help(self) -> str:
        return f"it is `{self.signature}`"


class NotConstant(Diagnostic):
    """A value that has to be known before the run is computed.

    Why: what a test gives in place of a reply, and a default, are constants.

    Bad:
        mas 1
        agent writer(topic) -> text "Write about {{ topic }}."
        flow main(topic) -> text { return writer(topic) }
        test "writes" {
          given writer = upper("a draft")
          out = main("tea")
          expect out == "A DRAFT"
        }

    Good:
        mas 1
        agent writer(topic) -> text "Write about {{ topic }}."
        flow main(topic) -> text { return writer(topic) }
        test "writes" {
          given writer = "A DRAFT"
          out = main("tea")
          expect out == "A DRAFT"
        }
    """

    code = "MAS217"
    place: str

    def title(self) -> str:
        return f"{self.place} must be a constant"

    def label(self) -> str:
        return "computed"

    def help(self) -> str:
        return "write the value itself"


class NotAnEnum(Diagnostic):
    """`match` is applied to something that is no enum.

    Why: `match` covers every word of an enum; on other values use `if`.

    Bad:
        mas 1
        flow main(topic) -> text {
          match topic {
            tea { return "hot" }
            else { return "cold" }
          }
        }

    Good:
        mas 1
        type Drink = tea | water
        flow main(drink: Drink) -> text {
          match drink {
            tea { return "hot" }
            water { return "cold" }
          }
        }
    """

    code = "MAS218"
    given: str

    def title(self) -> str:
        return f"`match` needs an enum, not `{self.given}`"

    def label(self) -> str:
        return f"this is `{self.given}`"

    def help(self) -> str:
        return "declare an enum, `type Kind = one | two`, and let the agent return it; or use `if`"
