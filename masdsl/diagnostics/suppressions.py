"""MAS72x: comments that allow a warning (`# mas: allow MAS702 reason`) and do not do what they say."""

from __future__ import annotations

from masdsl.diagnostics.base import SAFE, Fix
from masdsl.diagnostics.lints import Lint
from masdsl.diagnostics.suggest import near_fix
from masdsl.node import Span


class SuppressionForm(Lint):
    """A comment begins with `# mas:` and says nothing that is understood.

    Why: such a comment is meant for the compiler. One that is skipped for a slip of the pen would allow nothing, and
    nobody would see why. `# mas: allow CODE reason` stands at the end of a line or alone above it, `# mas: allow-file
    CODE reason` above the first declaration.

    Bad:
        mas 1
        agent writer(topic) -> text "Write about {{ topic }}."
        # mas: ignore the critic comes later
        agent critic(draft) -> text "Criticise {{ draft }}."
        flow main(topic) -> text {
          draft = writer(topic)
          return critic(draft)
        }

    Good:
        mas 1
        agent writer(topic) -> text "Write about {{ topic }}."
        # mas: allow MAS703 the critic comes later
        agent critic(draft) -> text "Criticise {{ draft }}."
        flow main(topic) -> text {
          return writer(topic)
        }
    """

    code = "MAS721"
    lint = "suppression_form"
    problem: str
    advice: str

    def title(self) -> str:
        return self.problem

    def label(self) -> str:
        return "allows nothing"

    def help(self) -> str:
        return self.advice


class SuppressedError(Lint):
    """A comment allows what cannot be allowed.

    Why: a program with an error has no meaning that could be run; only warnings can be allowed. A warning that the
    configuration makes an error is the host's decision, which a program cannot take back: `[allow]` of the
    configuration can. Findings about these comments cannot be allowed by further ones; `[lints]` turns them off.

    Bad:
        mas 1
        agent writer(topic) -> text "Write about {{ topic }}."
        flow main(topic) -> text {
          return writer(topic)  # mas: allow MAS101 the name comes later
        }

    Good:
        mas 1
        agent writer(topic) -> text "Write about {{ topic }}."
        flow main(topic) -> text {
          return writer(topic)
        }
    """

    code = "MAS722"
    lint = "suppression_of_error"
    name: str
    problem: str

    def title(self) -> str:
        return f"`{self.name}` cannot be allowed by a comment: {self.problem}"

    def label(self) -> str:
        return "allows nothing"

    def help(self) -> str:
        return f"take the comment out, and mend what {self.name} says"


class UnknownSuppression(Lint):
    """A comment allows a code that does not exist.

    Why: it allows nothing, so the warning that it is about still counts; or it is about a warning that is gone.

    Bad:
        mas 1
        agent writer(topic) -> text "Write about {{ topic }}."
        flow main(topic) -> text {  # mas: allow MAS7O5 callers pass a style already
          return writer(topic)
        }

    Good:
        mas 1
        agent writer(topic) -> text "Write about {{ topic }}."
        flow main(topic, style) -> text {  # mas: allow MAS705 callers pass a style already
          return writer(topic)
        }
    """

    code = "MAS723"
    lint = "suppression_code"
    name: str
    near: str | None

    def title(self) -> str:
        return f"there is no code `{self.name}`"

    def label(self) -> str:
        return "allows nothing"

    def help(self) -> str:
        return f"did you mean `{self.near}`?" if self.near else "`mas explain` lists all codes"

    def fix(self) -> Fix | None:
        return near_fix(self.name, self.near, self.span)


class SuppressionWithoutReason(Lint):
    """A comment allows a warning and does not say why.

    Why: whoever reads the program next has to know whether the reason still holds. Without one, nothing is allowed.

    Bad:
        mas 1
        agent writer(topic) -> text "Write about {{ topic }}."
        flow main(topic) -> text {
          return writer(topic)  # mas: allow MAS702
        }

    Good:
        mas 1
        agent writer(topic) -> text "Write about {{ topic }}."
        flow main(topic, style) -> text {  # mas: allow MAS705 callers pass a style already
          return writer(topic)
        }
    """

    code = "MAS724"
    lint = "suppression_reason"
    name: str

    def title(self) -> str:
        return f"the comment allows `{self.name}` and gives no reason"

    def label(self) -> str:
        return "allows nothing without one"

    def help(self) -> str:
        return f"write the reason behind the code, as in `# mas: allow {self.name} the next release uses it`"


class UnusedSuppression(Lint):
    """A comment allows a warning that there is not.

    Why: what it was about has been mended, or stands somewhere else. Left there, it would hide the next fault of that
    kind.

    Bad:
        mas 1
        agent writer(topic) -> text "Write about {{ topic }}."
        flow main(topic) -> text {
          return writer(topic)  # mas: allow MAS702 this is only a draft
        }

    Good:
        mas 1
        agent writer(topic) -> text "Write about {{ topic }}."
        flow main(topic) -> text {
          return writer(topic)
        }
    """

    code = "MAS725"
    lint = "unused_suppression"
    name: str
    where: str
    removal: Span

    def title(self) -> str:
        return f"`{self.name}` is allowed for {self.where}, and there is none"

    def label(self) -> str:
        return "allows nothing"

    def help(self) -> str:
        return "take the comment out, or this code of it"

    def fix(self) -> Fix | None:
        return Fix("take it out", ((self.removal, ""),), SAFE)
