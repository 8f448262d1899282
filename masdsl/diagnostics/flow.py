"""MAS3xx: flow of values and control."""

from __future__ import annotations

from masdsl.diagnostics.base import SAFE, SUGGESTED, WARNING, Diagnostic, Fix, Label
from masdsl.diagnostics.suggest import near_fix
from masdsl.node import Span


class AssignedTwice(Diagnostic):
    """A name is bound twice in one block.

    Why: a step has one name and one address; a second value needs a second name. (A loop may carry a name on.)

    Bad:
        mas 1
        agent writer(topic) -> text "Write about {{ topic }}."
        flow main(topic) -> text {
          draft = writer(topic)
          draft = writer(draft)
          return draft
        }

    Good:
        mas 1
        agent writer(topic) -> text "Write about {{ topic }}."
        flow main(topic) -> text {
          draft = writer(topic)
          better = writer(draft)
          return better
        }
    """

    code = "MAS301"
    name: str
    first: Span

    def title(self) -> str:
        return f"`{self.name}` is bound twice in this block"

    def label(self) -> str:
        return "bound again here"

    def help(self) -> str:
        return f"choose another name, such as `{self.name}_2`"

    def labels(self) -> tuple[Label, ...]:
        return (Label(self.first, "first bound here"),)


class MaybeUnset(Diagnostic):
    """A name is used that is bound only on some ways through the program.

    Why: a value must exist whichever branch was taken; names bound inside a loop end with it.

    Bad:
        mas 1
        flow main(n: int) -> text {
          if n > 1 {
            size = "many"
          }
          return size
        }

    Good:
        mas 1
        flow main(n: int) -> text {
          if n > 1 {
            size = "many"
          } else {
            size = "few"
          }
          return size
        }
    """

    code = "MAS302"
    name: str
    where: Span

    def title(self) -> str:
        return f"`{self.name}` may not be bound here"

    def label(self) -> str:
        return "not bound on every way to here"

    def help(self) -> str:
        return f"bind `{self.name}` above, or on every branch"

    def labels(self) -> tuple[Label, ...]:
        return (Label(self.where, "bound only inside this block"),)


class MissingReturn(Diagnostic):
    """A flow may end without returning a value.

    Why: every flow gives a value of its type, on every path.

    Bad:
        mas 1
        flow main(n: int) -> text {
          if n > 1 {
            return "many"
          }
        }

    Good:
        mas 1
        flow main(n: int) -> text {
          if n > 1 {
            return "many"
          }
          return "few"
        }
    """

    code = "MAS303"
    flow: str
    returns: str

    def title(self) -> str:
        return f"flow `{self.flow}` may end without returning a value"

    def label(self) -> str:
        return "the end can be reached"

    def help(self) -> str:
        return f"add `return` with a `{self.returns}` at the end"


class MatchNotExhaustive(Diagnostic):
    """A `match` leaves out words of its enum.

    Why: a word that no arm names would have no meaning.

    Bad:
        mas 1
        type Drink = tea | coffee | water
        flow main(drink: Drink) -> text {
          match drink {
            tea | coffee { return "hot" }
          }
          return "cold"
        }

    Good:
        mas 1
        type Drink = tea | coffee | water
        flow main(drink: Drink) -> text {
          match drink {
            tea | coffee { return "hot" }
            water { return "cold" }
          }
        }
    """

    code = "MAS304"
    enum: str
    missing: tuple[str, ...]
    closing: Span
    """The `}` that closes the `match`."""

    def title(self) -> str:
        return f"the `match` on `{self.enum}` leaves out " + ", ".join(f"`{word}`" for word in self.missing)

    def label(self) -> str:
        return "not exhaustive"

    def help(self) -> str:
        return "add an arm for " + " | ".join(self.missing) + ", or `else { .. }`"

    def fix(self) -> Fix | None:
        place = Span(self.closing.start, self.closing.start)
        return Fix("do nothing for the others", ((place, "else { }\n"),), SUGGESTED)


class DuplicateArm(Diagnostic):
    """A word stands in two arms of a `match`.

    Why: only the first could ever be taken.

    Bad:
        mas 1
        type Drink = tea | water
        flow main(drink: Drink) -> text {
          match drink {
            tea { return "hot" }
            tea | water { return "cold" }
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

    code = "MAS305"
    word: str

    def title(self) -> str:
        return f"`{self.word}` already has an arm"

    def label(self) -> str:
        return "again here"

    def help(self) -> str:
        return f"remove `{self.word}` from one of the arms"


class UntilOutsideLoop(Diagnostic):
    """`until` stands outside a loop.

    Why: `until` leaves the innermost `loop` or `for`.

    Bad:
        mas 1
        flow main(n: int) -> int {
          until n > 1
          return n
        }

    Good:
        mas 1
        flow main(n: int) -> int {
          total = 0
          loop 3 {
            total = total + n
            until total > 1
          }
          return total
        }
    """

    code = "MAS306"

    def title(self) -> str:
        return "`until` stands outside a loop"

    def label(self) -> str:
        return "nothing to leave"

    def help(self) -> str:
        return "put it inside `loop n { .. }` or `for x in xs { .. }`, or use `if`"


class NestedStep(Diagnostic):
    """A step stands inside an expression.

    Why: each call of an agent, tool or flow has a line and a name of its own: an address for patches, the journal and
    the budget.

    Bad:
        mas 1
        agent writer(topic) -> text "Write about {{ topic }}."
        flow main(topic) -> text {
          return trim(writer(topic))
        }

    Good:
        mas 1
        agent writer(topic) -> text "Write about {{ topic }}."
        flow main(topic) -> text {
          draft = writer(topic)
          return trim(draft)
        }
    """

    code = "MAS307"
    callee: str

    def title(self) -> str:
        return f"the call of `{self.callee}` stands inside an expression"

    def label(self) -> str:
        return "needs a line of its own"

    def help(self) -> str:
        return f"bind it first: `step = {self.callee}(...)`, then use `step` here"


class UselessElse(Diagnostic):
    """A fallback can never be used.

    Why: a plain value neither fails nor is none, so what follows `else` has no meaning.

    Bad:
        mas 1
        flow main(topic) -> text {
          title = trim(topic) else "nothing"
          return title
        }

    Good:
        mas 1
        flow main(topic) -> text {
          title = trim(topic)
          return title
        }
    """

    code = "MAS308"
    severity = WARNING
    removal: Span
    """From the `else` to the end of what follows it."""

    def title(self) -> str:
        return "this fallback can never be used"

    def label(self) -> str:
        return "never reached"

    def help(self) -> str:
        return "remove `else` and what follows: what stands before it neither fails nor is none"

    def fix(self) -> Fix | None:
        return Fix("remove it", ((self.removal, ""),), SAFE)


class NotInTest(Diagnostic):
    """A statement stands in a test that has no place there, or a test names what it cannot.

    Why: a test calls flows and looks at what came out; it returns nothing.

    Bad:
        mas 1
        flow main(topic) -> text { return topic }
        test "echo" {
          out = main("tea")
          return out
          expect out == "tea"
        }

    Good:
        mas 1
        flow main(topic) -> text { return topic }
        test "echo" {
          out = main("tea")
          expect out == "tea"
        }
    """

    code = "MAS309"
    problem: str
    advice: str

    def title(self) -> str:
        return self.problem

    def label(self) -> str:
        return "not here"

    def help(self) -> str:
        return self.advice


class UnknownStep(Diagnostic):
    """A test asks for a step that the program does not have.

    Why: steps are addressed by name, as in `main.refine.code`; a misspelt address would silently count nothing.

    Bad:
        mas 1
        agent writer(topic) -> text "Write about {{ topic }}."
        flow main(topic) -> text {
          draft = writer(topic)
          return draft
        }
        test "writes" {
          given writer = "a draft"
          out = main("tea")
          expect ran(main.drafts) == 1
        }

    Good:
        mas 1
        agent writer(topic) -> text "Write about {{ topic }}."
        flow main(topic) -> text {
          draft = writer(topic)
          return draft
        }
        test "writes" {
          given writer = "a draft"
          out = main("tea")
          expect ran(main.draft) == 1 and out == "a draft"
        }
    """

    code = "MAS310"
    address: str
    near: str | None

    def title(self) -> str:
        return f"there is no step `{self.address}`"

    def label(self) -> str:
        return "unknown step"

    def help(self) -> str:
        return (
            f"did you mean `{self.near}`?"
            if self.near
            else "a step's address is the flow's name, labels of constructs, and the name that the step binds"
        )

    def fix(self) -> Fix | None:
        return near_fix(self.address, self.near, self.span)


class TooManyInstances(Diagnostic):
    """A program expands to more flows or statements than the limit.

    Why: a flow is checked once for every set of static arguments; the product of many is refused before it costs time.

    (No example: a program that is refused for this is too long to be read.)
    """

    code = "MAS320"
    what: str
    limit: int

    def title(self) -> str:
        return f"the program expands to more than {self.limit} {self.what}"

    def label(self) -> str:
        return "the limit is reached here"

    def help(self) -> str:
        return "call flows with fewer different static arguments, or split the program"
