"""What a simulated model says: a value for any schema that a request has, made of what it believes.

What a field is for is told from its name and the prompt, by the tables below; what fits none of them gets sensible data
of its type. Texts keep to their longest length.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final

from training.worlds.chance import pick, uniform
from training.worlds.mind import Mind
from training.worlds.reading import EXPERTS
from training.worlds.words import words

Schema = Mapping[str, Any]

BARE: Final = frozenset(words("answer answers final final_answer result value total number choice letter"))
"""Fields that hold an answer alone."""
FULL: Final = frozenset(words("solution solutions revised refined conclusion output reply draft says text message"))
"""Fields that hold a text that comes to an answer."""
TASK: Final = frozenset(
    words("task tasks subtask subtasks question questions subquestion problem problems query queries request")
    + words("input left to_student instruction")
)
"""Fields that hold a task for somebody else: the task itself."""
CODE: Final = frozenset(words("code program python script"))
SCORE: Final = frozenset(
    words("confidence score scores rating grade quality probability likelihood points certainty good")
)
NEGATIVE: Final = ("wrong", "flaw", "error", "issue", "incorrect", "switch", "needs", "revise", "continue", "more")
"""Beginnings of names of truth values that are true where a model does not approve."""
YES: Final = frozenset(
    words("yes correct right approve approved sure valid pass accept accepted agree good true likely")
)
NO: Final = frozenset(words("no incorrect wrong reject rejected impossible invalid fail refuse disagree bad false"))
LEVELS: Final = (
    frozenset(words("basic easy simple low trivial")),
    frozenset(words("intermediate medium moderate middle")),
    frozenset(words("advanced hard complex high difficult")),
)
_SCALE: Final = re.compile(r"from (\d+) to (\d+)|\b(\d+)\s?(?:-|to)\s?(\d+)\b|out of (\d+)()")
_LISTED: Final = re.compile(r"(?:^|\s)(\d{1,2})[.):] ")
_PART: Final = re.compile(r"[A-Za-z]+")
_SENTENCES: Final = (
    "First I note what is given.",
    "Then I look at what is asked.",
    "What does not matter is left out.",
    "Each part follows from the one before.",
    "The parts are put together.",
    "Nothing in this contradicts what was given.",
    "A second look gives the same.",
)


class Speaker:
    """Says values for one request; a text has `word_count` words of working, and
    `longest` characters at most.
    """

    def __init__(self, mind: Mind, word_count: int, longest: int) -> None:
        self._mind = mind
        self._seen = mind.seen
        self._word_count = word_count
        self._longest = longest

    def text_reply(self) -> str:
        """Return the reply to a request for free text."""
        return self._text("", self._longest)

    def value(self, schema: Schema, name: str = "", at: int = 0) -> Any:
        """Return plain data for a schema; `name` is the field's, `at` its place in a list."""
        if "anyOf" in schema:
            options = [one for one in schema["anyOf"] if one.get("type") != "null"]
            return self.value(options[0], name, at) if options else None
        if "const" in schema:
            return schema["const"]
        if "enum" in schema:
            return self._word(schema["enum"], name, at)
        match schema.get("type"):
            case "object":
                fields = schema.get("properties", {})
                return {field: self.value(kind, field, at) for field, kind in fields.items()}
            case "array":
                low, high = schema.get("minItems", 0), schema.get("maxItems", 3)
                length = max(low, min(high, 3 if low == 0 else low))
                return [self.value(schema.get("items", {}), name, number) for number in range(length)]
            case "boolean":
                return self._truth(name, at)
            case "integer":
                return self._whole(name, at)
            case "number":
                return self._number(name, at)
            case "null":
                return None
            case _:
                return self._text(name, min(schema.get("maxLength", self._longest), self._longest), at)

    # ---------------------------------------------------------------- texts

    def _text(self, name: str, longest: int, at: int = 0) -> str:
        role = _role(name)
        task = self._seen.task
        if role == "code" or (self._seen.code and role != "bare" and not self._seen.asserts):
            return self._code(longest)
        if self._seen.formula and role == "full" and task is not None and task.expression:
            return self._expression()[:longest]
        if self._seen.asserts and role not in ("bare", "working"):
            return "assert True"[:longest]
        if role == "task":
            return "" if task is None else task.texts[0][:longest]
        if task is None:
            return self._passed_on(role)[:longest]
        if not self._seen.solve:
            return self._working(longest)
        answer = self._mind.answer
        if role == "bare":
            return answer[:longest]
        end = f"So the answer is {answer}." if role == "working" else f"Answer: {answer}"
        if len(end) > longest:
            return answer[:longest]
        if role == "working" and self._seen.candidates:
            opinion = "I agree." if self._mind.approves else "I doubt it."
            end = f"{opinion} {end}" if len(opinion) + len(end) < longest else end
        working = self._working(longest - len(end) - 1)
        return f"{working} {end}" if working else end

    def _working(self, longest: int) -> str:
        said: list[str] = []
        count = 0
        for number in range(100):
            sentence = _SENTENCES[number % len(_SENTENCES)]
            count += len(sentence.split())
            if count > self._word_count or sum(map(len, said)) + len(said) + len(sentence) > longest:
                break
            said.append(sentence)
        return " ".join(said)

    def _passed_on(self, role: str) -> str:
        """Return what can be said without a task: the answer that the prompt claims most often, if it claims one."""
        claimed = self._seen.claimed
        if not claimed:
            return "Nothing is asked here."
        most = max(claimed, key=claimed.count)
        return most if role == "bare" else f"Answer: {most}"

    def _expression(self) -> str:
        """Return the expression that it writes for a sum."""
        task = self._seen.task
        assert task is not None
        return (task.expression, *task.wrong_expressions)[self._mind.formal]

    def _code(self, longest: int) -> str:
        task = self._seen.task
        if task is None:
            value = "None"
        elif task.expression:
            value = self._expression()
        else:
            value = json.dumps((task.answer, *task.wrong)[self._mind.formal], ensure_ascii=False)
        name = self._seen.function
        body = f"def {name}():\n    return {value}" if name else f"print({value})"
        fenced = f"```python\n{body}\n```"
        return next((one for one in (fenced, body) if len(one) <= longest), body[:longest])

    # ---------------------------------------------------------------- other types

    def _word(self, choices: list[Any], name: str, at: int) -> Any:
        plain = {str(word).casefold(): word for word in choices}
        task, mind = self._seen.task, self._mind
        if task is not None and mind.answer.casefold() in plain:
            return plain[mind.answer.casefold()]
        if task is not None and mind.answer in task.options and all(len(word) == 1 for word in plain):
            letter = "abcdefghijklmnopqrstuvwxyz"[task.options.index(mind.answer)]
            if letter in plain:
                return plain[letter]
        yes, no = YES & plain.keys(), NO & plain.keys()
        if yes and no:
            # The surest word where there are several.
            return next(word for low, word in plain.items() if low in (yes if self._approves(at) else no))
        levels = [[word for low, word in plain.items() if low in level] for level in LEVELS]
        if task is not None and sum(map(bool, levels)) > 1:
            hard = task.difficulty + 2 * uniform("level", *mind.own) - 1
            at = 0 if hard < -0.3 else 1 if hard < 0.9 else 2
            return next(level[0] for level in (levels[at], levels[1], *levels) if level)
        if task is not None:
            for low, word in plain.items():
                if any(low.startswith(one) or one.startswith(low) for one in (mind.kind, *EXPERTS[mind.kind])):
                    return word
        return pick(choices, "word", name, at, *mind.own)

    def _approves(self, at: int) -> bool:
        """Whether it approves of the candidate in so-and-so-th place of a list, or of the one that is judged."""
        distinct = list(dict.fromkeys(self._seen.candidates))
        if at and self._seen.task is not None:
            return at < len(distinct) and self._mind.believes(distinct[at])
        return self._mind.approves

    def _truth(self, name: str, at: int) -> bool:
        return self._approves(at) != name.casefold().startswith(NEGATIVE)

    def _whole(self, name: str, at: int) -> int:
        number = self._number(name, at, whole=True)
        return int(number)

    def _number(self, name: str, at: int, *, whole: bool = False) -> float:
        mind, task = self._mind, self._seen.task
        scale = _SCALE.search(self._seen.plain)
        if _role(name) == "score" or (task is None and scale is not None):
            return self._score(scale, at, whole)
        if task is None:
            return _as_number(self._passed_on("bare")) or 0
        listed = self._place_in_list()
        if listed is not None and whole and not _is_numeric(task.answer):
            return listed
        if listed is not None and whole and re.search(r"number of|which|best", self._seen.plain, re.IGNORECASE):
            return listed
        number = _as_number(mind.answer)
        if number is not None:
            return number
        if mind.answer in task.options:
            return task.options.index(mind.answer)
        return self._score(scale, at, whole) if scale is not None else at

    def _score(self, scale: re.Match[str] | None, at: int, whole: bool) -> float:
        low, high = (0, 10) if whole else (0, 1)
        if scale is not None:
            found = [int(one) for one in scale.groups() if one]
            low, high = (0, found[0]) if len(found) == 1 else (found[0], found[1])
        share = (0.8 if self._approves(at) else 0.2) + 0.2 * uniform("score", at, *self._mind.own) - 0.1
        return round(low + share * (high - low), 0 if whole else 3)

    def _place_in_list(self) -> int | None:
        """Return the number of the listed text that has its answer, None where there is no numbered list."""
        plain = self._seen.plain
        marks = list(_LISTED.finditer(plain))
        if len(marks) < 2:
            return None
        ends = [*(mark.start() for mark in marks[1:]), len(plain)]
        answer = self._mind.answer.casefold()
        for mark, end in zip(marks, ends, strict=True):
            if answer in plain[mark.end() : end].casefold():
                return int(mark[1])
        return None


def _role(name: str) -> str:
    """Return what a field is for: `bare`, `full`, `task`, `code`, `score` or `working`; the reply itself is `full`."""
    if not name:
        return "full"
    parts = [name.casefold(), *(one.casefold() for one in _PART.findall(name))]
    for role, names in (("bare", BARE), ("score", SCORE), ("task", TASK), ("code", CODE), ("full", FULL)):
        if any(part in names for part in parts):
            return role
    return "working"


def _as_number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if abs(number) < 1e15 else None


def _is_numeric(text: str) -> bool:
    return _as_number(text) is not None
