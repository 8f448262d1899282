"""MAS0xx: text, syntax and limits."""

from __future__ import annotations

from masdsl.diagnostics.base import SAFE, SUGGESTED, Diagnostic, Fix, Label
from masdsl.node import Span


def _spelled(character: str) -> str:
    """A character by number and name, for it may not show itself."""
    from unicodedata import name

    return f"U+{ord(character):04X} {name(character, '')}".rstrip()


class NotUtf8(Diagnostic):
    """A file is not UTF-8 text.

    Why: a program has one reading on every machine; bytes that are no UTF-8 have none. (No program can be shown here
    that has this fault, for this page is UTF-8 itself.)
    """

    code = "MAS001"
    byte: int
    offset: int

    def title(self) -> str:
        return f"the byte 0x{self.byte:02X} at offset {self.offset} is not UTF-8"

    def label(self) -> str:
        return "no character begins or continues like this"

    def help(self) -> str:
        return "save the file as UTF-8"


class HiddenCharacter(Diagnostic):
    """A text holds a character that does not show, or that changes how the text around it is shown.

    Why: what a reader sees must be what is read. Controls, bidirectional overrides, zero-width characters and lone
    carriage returns can make a program look like another one.

    Bad:
        mas 1
        agent writer(topic) -> text "Write about\u202e {{ topic }}."
        flow main(topic) -> text {
          return writer(topic)
        }

    Good:
        mas 1
        agent writer(topic) -> text "Write about\\u{202e} {{ topic }}."
        flow main(topic) -> text {
          return writer(topic)
        }
    """

    code = "MAS002"
    character: str

    def title(self) -> str:
        if self.character == "\r":
            return "a carriage return stands without a line feed"
        return f"the text holds the hidden character {_spelled(self.character)}"

    def label(self) -> str:
        return "here"

    def help(self) -> str:
        if self.character == "\r":
            return "end lines with a line feed, alone or after a carriage return"
        if self.character == "\0" or 0xD800 <= ord(self.character) < 0xE000:
            return "delete it"
        return f"delete it, or write `\\u{{{ord(self.character):x}}}` if a string needs it"

    def fix(self) -> Fix | None:
        return Fix("delete it", ((self.span, "\n" if self.character == "\r" else ""),), SAFE)


class ForeignLetter(Diagnostic):
    """A name has a letter that is not ASCII.

    Why: letters of other alphabets can look the same and yet make another name. Strings and comments may hold any
    language.

    Bad:
        mas 1
        agent writer(topic) -> text "Write about {{ topic }}."
        flow main(topic) -> text {
          résumé = writer(topic)
          return résumé
        }

    Good:
        mas 1
        agent writer(topic) -> text "Write about {{ topic }}."
        flow main(topic) -> text {
          resume = writer(topic)
          return resume
        }
    """

    code = "MAS003"
    name: str
    letter: str
    ascii: str | None

    def title(self) -> str:
        return f"the name `{self.name}` has the letter {_spelled(self.letter)}"

    def label(self) -> str:
        return "names are of a-z, 0-9 and _"

    def help(self) -> str:
        return f"write `{self.ascii}`" if self.ascii else "choose a name of ASCII letters"

    def fix(self) -> Fix | None:
        return Fix(f"write `{self.ascii}`", ((self.span, self.ascii),), SAFE) if self.ascii else None


class UnreadableFile(Diagnostic):
    """A file cannot be read.

    Why: the operating system refuses, or what has this name is not a regular file.
    """

    code = "MAS004"
    path: str
    reason: str
    action: str

    def title(self) -> str:
        return f"cannot read `{self.path}`: {self.reason}"

    def help(self) -> str:
        return self.action


class LimitExceeded(Diagnostic):
    """Something is larger than a program may be.

    Why: with these limits every program is read, checked and run in bounded time and memory. No sensible program comes
    near.

    Bad:
        mas 1
        agent writer(topic) -> text "Write about {{ topic }}."
        budget tokens 12345678901
        flow main(topic) -> text {
          return writer(topic)
        }

    Good:
        mas 1
        agent writer(topic) -> text "Write about {{ topic }}."
        budget tokens 1234567890
        flow main(topic) -> text {
          return writer(topic)
        }
    """

    code = "MAS009"
    what: str
    limit: int
    action: str

    def title(self) -> str:
        return f"{self.what}; the limit is {self.limit:_}"

    def label(self) -> str:
        return f"the limit of {self.limit:_} is exceeded here"

    def help(self) -> str:
        return self.action


class Unexpected(Diagnostic):
    """A text stands where the grammar wants something else.

    Why: the words after "expected" are all that can stand there.

    Bad:
        mas 1
        agent writer(topic) -> text "Write about {{ topic }}."
        flow main(topic) -> text {
          return writer(topic,,)
        }

    Good:
        mas 1
        agent writer(topic) -> text "Write about {{ topic }}."
        flow main(topic) -> text {
          return writer(topic)
        }
    """

    code = "MAS010"
    found: str
    expected: tuple[str, ...]
    hint: str | None
    correction: tuple[str, Span, str] | None

    def title(self) -> str:
        if not self.expected:
            return f"{self.found} cannot stand here"
        return f"{self.found} stands where {_alternatives(self.expected)} should"

    def label(self) -> str:
        return f"expected {_alternatives(self.expected)}" if self.expected else "not expected here"

    def help(self) -> str:
        if self.hint:
            return self.hint
        if self.correction:
            return self.correction[0]
        return f"write {_alternatives(self.expected)} here" if self.expected else "delete it"

    def fix(self) -> Fix | None:
        if self.correction is None:
            return None
        title, span, text = self.correction
        return Fix(title, ((span, text),), SAFE if text in ("=", ":", "==") else SUGGESTED)


def _alternatives(words: tuple[str, ...]) -> str:
    return " or ".join(filter(None, (", ".join(words[:-1]), words[-1])))


class StrayCharacter(Diagnostic):
    """A character that is no part of the language stands outside strings and comments.

    Why: prompts and other text belong in quotes; there is a word for every operation.

    Bad:
        mas 1
        agent writer(topic) -> text "Write about {{ topic }}."
        flow main(topic) -> text {
          return @ writer(topic)
        }

    Good:
        mas 1
        agent writer(topic) -> text "Write about {{ topic }}."
        flow main(topic) -> text {
          return writer(topic)
        }
    """

    code = "MAS011"
    character: str
    hint: str

    def title(self) -> str:
        shown = self.character if self.character.isprintable() else _spelled(self.character)
        return f"the character `{shown}` is no part of the language"

    def label(self) -> str:
        return "outside of strings and comments"

    def help(self) -> str:
        return self.hint


class UnclosedString(Diagnostic):
    """A string is opened and not closed.

    Why: a string in single quotation marks ends on its line; one in three may have several lines and ends at the next
    three.

    Bad:
        mas 1
        agent writer(topic) -> text "Write about {{ topic }}.
        flow main(topic) -> text {
          return writer(topic)
        }

    Good:
        mas 1
        agent writer(topic) -> text "Write about {{ topic }}."
        flow main(topic) -> text {
          return writer(topic)
        }
    """

    code = "MAS012"
    quotes: str

    def title(self) -> str:
        return f"this string has no closing `{self.quotes}`"

    def label(self) -> str:
        return "opened here"

    def help(self) -> str:
        if len(self.quotes) == 3:
            return f"close it with `{self.quotes}` on a line of its own"
        return f"close it with `{self.quotes}` on this line, or put text of several lines between `{self.quotes * 3}`"

    def fix(self) -> Fix | None:
        if len(self.quotes) == 3:
            return None
        return Fix(f"close it with `{self.quotes}`", ((Span(self.span.end, self.span.end), self.quotes),), SUGGESTED)


class UnknownEscape(Diagnostic):
    """A backslash in a string is followed by something that means nothing.

    Why: the escapes are `\\n`, `\\t`, `\\r`, `\\"`, `\\\\` and `\\u{HEX}`. Any other would mean something else in every
    language.

    Bad:
        mas 1
        agent solver(task) -> text "Give the answer as \\boxed{answer}. Task: {{ task }}"
        flow main(task) -> text {
          return solver(task)
        }

    Good:
        mas 1
        agent solver(task) -> text "Give the answer as \\\\boxed{answer}. Task: {{ task }}"
        flow main(task) -> text {
          return solver(task)
        }
    """

    code = "MAS013"
    text: str

    def title(self) -> str:
        return f"`{self.text}` means nothing in a string"

    def label(self) -> str:
        return "no such escape" if not self.text.startswith("\\u{") else "no such character"

    def help(self) -> str:
        return 'write `\\\\` for a backslash; the escapes are `\\n`, `\\t`, `\\r`, `\\"`, `\\\\` and `\\u{HEX}`'

    def fix(self) -> Fix | None:
        if self.text.startswith("\\u{"):
            return None
        return Fix("double the backslash", ((Span(self.span.start, self.span.start + 1), "\\\\"),), SAFE)


class NoGap(Diagnostic):
    """A number and a word, or a word and a number, run into each other.

    Why: two words need a gap, so that nothing can be read in two ways.

    Bad:
        mas 1
        agent writer(topic) -> text "Write about {{ topic }}."
        flow main(topic) -> text[2] {
          return 2of writer(topic)
        }

    Good:
        mas 1
        agent writer(topic) -> text "Write about {{ topic }}."
        flow main(topic) -> text[2] {
          return 2 of writer(topic)
        }
    """

    code = "MAS014"
    text: str
    instead: str | None

    def title(self) -> str:
        return f"`{self.text}` is neither a number nor a word"

    def label(self) -> str:
        return "needs a gap" if self.instead and " " in self.instead else "not understood"

    def help(self) -> str:
        return f"write `{self.instead}`" if self.instead else "put a blank between the words, or choose another name"

    def fix(self) -> Fix | None:
        return Fix(f"write `{self.instead}`", ((self.span, self.instead),), SAFE) if self.instead else None


class ReservedName(Diagnostic):
    """A word of the language is used as a name.

    Why: a word such as `loop` can never be a name, so that no program can be read in two ways. Most keywords, such as
    `max` and `role`, can.

    Bad:
        mas 1
        agent writer(topic) -> text "Write about {{ topic }}."
        flow main(topic) -> text {
          match = writer(topic)
          return match
        }

    Good:
        mas 1
        agent writer(topic) -> text "Write about {{ topic }}."
        flow main(topic) -> text {
          match_ = writer(topic)
          return match_
        }
    """

    code = "MAS015"
    word: str

    def title(self) -> str:
        return f"`{self.word}` is a word of the language and cannot be a name"

    def label(self) -> str:
        return "reserved"

    def help(self) -> str:
        return f"call it `{self.word}_`"

    def fix(self) -> Fix | None:
        return Fix(f"write `{self.word}_`", ((self.span, f"{self.word}_"),), SAFE)


class MissingHeader(Diagnostic):
    """A text does not begin with its header: `mas 1`, `bind 1` or `patch 1`.

    Why: the header says what the text is and by which edition of the language it is read.

    Bad:
        agent writer(topic) -> text "Write about {{ topic }}."
        flow main(topic) -> text {
          return writer(topic)
        }

    Good:
        mas 1
        agent writer(topic) -> text "Write about {{ topic }}."
        flow main(topic) -> text {
          return writer(topic)
        }
    """

    code = "MAS016"
    header: str
    before: bool
    """Whether the header is there, but not at the beginning; the span then is what stands before it."""

    def title(self) -> str:
        if self.before:
            return f"something stands before `{self.header}`"
        return f"the text does not begin with `{self.header}`"

    def label(self) -> str:
        return "no part of the program" if self.before else f"`{self.header}` is missing"

    def help(self) -> str:
        if self.before:
            return f"delete what stands before `{self.header}`, or make it a comment with `#`"
        return f"begin with `{self.header}`"

    def fix(self) -> Fix | None:
        if self.before:
            return Fix("delete it", ((self.span, ""),), SUGGESTED)
        return (
            Fix(f"begin with `{self.header}`", ((self.span, f"{self.header}\n"),), SAFE)
            if self.span.start == self.span.end
            else None
        )


class UnknownEdition(Diagnostic):
    """A text is written for an edition of the language that this version does not know.

    Why: an edition fixes what a program means for ever.

    Bad:
        mas 2
        agent writer(topic) -> text "Write about {{ topic }}."
        flow main(topic) -> text {
          return writer(topic)
        }

    Good:
        mas 1
        agent writer(topic) -> text "Write about {{ topic }}."
        flow main(topic) -> text {
          return writer(topic)
        }
    """

    code = "MAS017"
    edition: str

    def title(self) -> str:
        return f"this version of masdsl does not know edition {self.edition} of the language"

    def label(self) -> str:
        return "the edition is 1"

    def help(self) -> str:
        return "write `1`, or install a newer version of masdsl"


class Unclosed(Diagnostic):
    """A bracket or a block is opened and not closed.

    Why: braces hold blocks together; blanks and line ends mean nothing.

    Bad:
        mas 1
        agent writer(topic) -> text "Write about {{ topic }}."
        flow main(topic) -> text {
          draft = ""
          loop 2 {
            draft = writer(topic)
          return draft
        }

    Good:
        mas 1
        agent writer(topic) -> text "Write about {{ topic }}."
        flow main(topic) -> text {
          draft = ""
          loop 2 {
            draft = writer(topic)
          }
          return draft
        }
    """

    code = "MAS018"
    bracket: str
    opener: Span

    def title(self) -> str:
        opening = {")": "(", "]": "[", "}": "{"}[self.bracket]
        return f"`{opening}` is never closed"

    def label(self) -> str:
        return f"`{self.bracket}` is missing before this"

    def labels(self) -> tuple[Label, ...]:
        return (Label(self.opener, "opened here"),)

    def help(self) -> str:
        return f"add the missing `{self.bracket}`"

    def fix(self) -> Fix | None:
        text = "}\n" if self.bracket == "}" else self.bracket
        return Fix(f"add `{self.bracket}`", ((Span(self.span.start, self.span.start), text),), SUGGESTED)


class OtherLanguage(Diagnostic):
    """Something is written as in another language.

    Why: there is one way to write each thing, and it is mostly shorter.

    Bad:
        mas 1
        agent writer(topic) -> text "Write about {{ topic }}."
        flow main(topic) -> text {
          draft = writer(topic);
          return draft
        }

    Good:
        mas 1
        agent writer(topic) -> text "Write about {{ topic }}."
        flow main(topic) -> text {
          draft = writer(topic)
          return draft
        }
    """

    code = "MAS019"
    found: str
    action: str
    instead: str | None
    """What to put in place of the span; None if more than that has to change."""

    def title(self) -> str:
        plain = " " in self.found and '"' not in self.found
        return f"the language has no {self.found if plain else f'`{self.found}`'}"

    def label(self) -> str:
        return "from another language"

    def help(self) -> str:
        return self.action

    def fix(self) -> Fix | None:
        if self.instead is None:
            return None
        # they meant something there; or the block's end is missing as well
        sure = SUGGESTED if self.found in ("break", "continue", "`:` before a block") else SAFE
        return Fix(self.action, ((self.span, self.instead),), sure)


class BareCall(Diagnostic):
    """A call stands alone as a statement.

    Why: every step has a name; by that name its result is used, traced and repaired.

    Bad:
        mas 1
        agent writer(topic) -> text "Write about {{ topic }}."
        flow main(topic) -> text {
          writer(topic)
          return topic
        }

    Good:
        mas 1
        agent writer(topic) -> text "Write about {{ topic }}."
        flow main(topic) -> text {
          draft = writer(topic)
          return draft
        }
    """

    code = "MAS020"
    callee: str

    def title(self) -> str:
        return f"the result of `{self.callee}` has no name"

    def label(self) -> str:
        return "a call needs a name for its result"

    def help(self) -> str:
        return f"write `result = {self.callee}(...)`"

    def fix(self) -> Fix | None:
        return Fix("name the result", ((Span(self.span.start, self.span.start), "result = "),), SUGGESTED)


class CodeFence(Diagnostic):
    """A program is wrapped in Markdown.

    Why: a `.mas` file holds the program alone.

    Bad:
        ```
        mas 1
        agent writer(topic) -> text "Write about {{ topic }}."
        flow main(topic) -> text {
          return writer(topic)
        }
        ```

    Good:
        mas 1
        agent writer(topic) -> text "Write about {{ topic }}."
        flow main(topic) -> text {
          return writer(topic)
        }
    """

    code = "MAS021"
    outside: tuple[Span, ...]
    """What does not belong to the program: up to the end of the first fence, and from the second on."""

    def title(self) -> str:
        return "the program is wrapped in a Markdown code fence"

    def label(self) -> str:
        return "not part of the program"

    def help(self) -> str:
        return "delete the lines with ``` and all that stands outside of them"

    def fix(self) -> Fix | None:
        return Fix("keep the program alone", tuple((span, "") for span in self.outside), SAFE)


class NameStyle(Diagnostic):
    """A name is not written as names of its kind are.

    Why: types are Capitalised, everything else is lower_snake; one glance tells them apart.

    Bad:
        mas 1
        agent writeDraft(topic) -> text "Write about {{ topic }}."
        flow main(topic) -> text {
          return writeDraft(topic)
        }

    Good:
        mas 1
        agent write_draft(topic) -> text "Write about {{ topic }}."
        flow main(topic) -> text {
          return write_draft(topic)
        }
    """

    code = "MAS022"
    name: str
    instead: str

    def title(self) -> str:
        return f"`{self.name}` is not written as a name of its kind"

    def label(self) -> str:
        if self.instead[:1].isupper():
            return "a type's name is Capitalised, without underscores"
        return "a name is of lower-case letters, digits and underscores"

    def help(self) -> str:
        return f"write `{self.instead}`"

    def fix(self) -> Fix | None:
        return Fix(f"write `{self.instead}`", ((self.span, self.instead),), SAFE)


class NotFormatted(Diagnostic):
    """A text is not in the one layout of the language.

    Why: with one layout for all, a change shows what was meant by it and nothing else. `mas fmt --check` looks for
    this, and `mas fmt` mends it; `mas check` takes any layout. Line ends other than line feeds and a byte-order mark
    count as well.
    """

    code = "MAS023"
    replacement: str
    """What stands in place of the span in that layout; both are empty where line ends or a byte-order mark differ."""

    def title(self) -> str:
        return "the text is not in its one layout"

    def label(self) -> str:
        if self.span.start == self.span.end and not self.replacement:
            return "line ends or a byte-order mark differ"
        return "laid out otherwise from here on"

    def help(self) -> str:
        return "run `mas fmt`"

    def fix(self) -> Fix | None:
        if self.span.start == self.span.end and not self.replacement:
            return None
        return Fix("lay it out", ((self.span, self.replacement),), SAFE)
