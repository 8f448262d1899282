"""Tasks of the simulated world: what its models know of a query when they meet its words in a prompt.

`tasks.jsonl` has one a line. A task is met where one of its texts (the query, or a paraphrase of it) stands in a
prompt, whatever blanks or JSON escapes came between; of several the one that stands last counts.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property, lru_cache
from typing import Any, Final, NamedTuple

FAMILIES: Final = ("sums", "choice", "facts", "puzzles")
"""Arithmetic word problems, multiple choice about an invented country, facts of it that stand in a collection of
documents, and puzzles about an order."""
ANCHOR_WORDS: Final = 6
_BLANKS: Final = re.compile(r"\s+")
_WORD: Final = re.compile(r"\w+")


class TaskFault(ValueError):
    """A file of tasks cannot be used; the text says which line, and why."""


class Task(NamedTuple):
    """A task.

    `texts` are the query and its paraphrases, `wrong` the answers that models take for the right one, the likeliest
    first. `expression` and `wrong_expressions` (in the order of `wrong`) work out answers of sums. `evidence` is the
    sentence of a document that has the answer, `options` those of a multiple choice. `difficulty` is in units of skill
    (see `training.worlds.simulator`).
    """

    id: str
    family: str
    texts: tuple[str, ...]
    answer: str
    wrong: tuple[str, ...]
    difficulty: float
    expression: str = ""
    wrong_expressions: tuple[str, ...] = ()
    evidence: str = ""
    options: tuple[str, ...] = ()

    def row(self) -> dict[str, Any]:
        """Return it as a sample of a data set: `query`, `answer`, `family`, and what it came from."""
        row: dict[str, Any] = {"id": self.id, "query": self.texts[0], "answer": self.answer, "family": self.family}
        row |= {"options": list(self.options)} if self.options else {}
        return row | {"source": "simulated", "difficulty": round(self.difficulty, 3)}


class Tasks:
    """The tasks of a world, found by their texts."""

    def __init__(self, tasks: Sequence[Task]) -> None:
        self.tasks = tuple(tasks)
        self._by_anchor: dict[tuple[str, ...], list[tuple[str, Task]]] = {}
        for task in tasks:
            for text in task.texts:
                plain = flat(text)
                anchor = tuple(_WORD.findall(plain)[:ANCHOR_WORDS])
                self._by_anchor.setdefault(anchor, []).append((plain, task))

    @cached_property
    def _anchor_lengths(self) -> tuple[int, ...]:
        return tuple(sorted({len(anchor) for anchor in self._by_anchor}, reverse=True))

    def find(self, prompt: str) -> tuple[Task | None, str]:
        """Return the task that stands last in a prompt, and the prompt (`flat`) without the texts of that task."""
        plain = flat(prompt)
        words = _WORD.findall(plain)
        last: tuple[int, Task] | None = None
        tried: set[tuple[str, ...]] = set()
        for at in range(len(words)):
            for length in self._anchor_lengths:
                anchor = tuple(words[at : at + length])
                if anchor in tried:
                    continue
                tried.add(anchor)
                for text, task in self._by_anchor.get(anchor, ()):
                    place = plain.rfind(text)
                    if place >= 0 and (last is None or place + len(text) > last[0]):
                        last = (place + len(text), task)
        if last is None:
            return None, plain
        task = last[1]
        for text in task.texts:
            plain = plain.replace(flat(text), " ")
        return task, plain


def flat(text: str) -> str:
    """Return a text on one line, with the escapes of JSON resolved and single blanks, as tasks are looked for."""
    return _BLANKS.sub(" ", text.replace("\\n", " ").replace('\\"', '"')).strip()


def write_tasks(tasks: Iterable[Task], path: str) -> None:
    """Write tasks as JSON lines. Raises OSError."""
    with open(path, "w", encoding="utf-8", newline="\n") as file:
        file.writelines(json.dumps(task._asdict(), ensure_ascii=False) + "\n" for task in tasks)


def read_tasks(path: str) -> Tasks:
    """Return the tasks in a file; it is read once for each content. Raises TaskFault."""
    try:
        state = os.stat(path)
        return _read(path, state.st_mtime_ns, state.st_size)
    except OSError as error:
        why = error.strerror or error
        raise TaskFault(f"the tasks {path} cannot be read: {why}; make the world anew") from None


@lru_cache(maxsize=8)
def _read(path: str, _changed: int, _size: int) -> Tasks:
    tasks = []
    with open(path, encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            try:
                tasks.append(_task_of(json.loads(line)))
            except (ValueError, TypeError, KeyError, RecursionError) as fault:
                raise TaskFault(f"{path}:{number}: this is no task ({fault}); make the world anew") from None
    if not tasks:
        raise TaskFault(f"{path} has no tasks; make the world anew")
    return Tasks(tasks)


def _task_of(row: Mapping[str, Any]) -> Task:
    lists = ("texts", "wrong", "wrong_expressions", "options")
    values: dict[str, Any] = {name: tuple(value) if name in lists else value for name, value in row.items()}
    task = Task(**values)
    texts = (task.id, task.family, task.answer, *task.texts, *task.wrong)
    if not task.texts or not task.wrong or not all(texts):
        raise ValueError("a text is missing")
    "".join(texts)  # raises TypeError for what is none
    if task.family not in FAMILIES:
        raise ValueError(f"there is no family {task.family!r}")
    if task.expression and len(task.wrong_expressions) != len(task.wrong):
        raise ValueError("an expression is missing")
    float(task.difficulty)
    return task
