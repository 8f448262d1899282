"""Programs, tools and data for tests of batches: what is called leaves a line in a file, and a tool may kill."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from zlib import crc32

SOLVE = """mas 1

tool work_out(question) -> text from "work_out"

agent solver(question) -> text
  "Solve: {{ question }}"

agent judge(question, answer) -> bool
  "Is {{ answer }} right for {{ question }}?"

flow main(question) -> text {
  guess = solver(question)
  answer = work_out(question: question)
  ok = judge(question, answer: guess)
  if ok {
    return answer
  }
  return guess
}
"""

GUESS = """mas 1

agent guesser(problem) -> text
  "Guess: {{ problem }}"

flow main(problem) -> text {
  return guesser(problem)
}
"""

CONFIG = """[tiers]
default = "script"

[models.script]
kind = "scripted"
path = "script.toml"
input_price = 1.0
output_price = 2.0

[models.other]
kind = "scripted"
path = "other.toml"
input_price = 1.0
output_price = 2.0

[tools]
work_out = "MODULE:work_out"
"""

SCRIPT = """[replies]
solver = ["thinking", "unheard"]
judge = { "$reply" = true, "$after" = 0.002 }
guesser = "4"
"""

TOOLS = '''"""The tool of the tests: it notes what it is asked, and does what the question says."""

import os
import signal
from pathlib import Path

HERE = Path(__file__).parent


def work_out(question: str) -> str:
    """Work a question out."""
    with (HERE / "asked.txt").open("a") as file:
        file.write(f"{question}\\t{os.getpid()}\\n")
    words = question.split()
    if "fail" in words:
        raise ValueError("it cannot be worked out")
    if "die" in words:
        os.kill(os.getpid(), signal.SIGKILL)
    marker = HERE / "died"
    if "once" in words and not marker.exists():
        marker.touch()
        os.kill(os.getpid() if "worker" in words else os.getppid(), signal.SIGKILL)
        if "worker" not in words:
            import time

            time.sleep(60)
    return str(int(words[0]) + int(words[2]))
'''


def folder_of_programs(folder: Path, questions: Sequence[str]) -> Path:
    """Make a folder with two programs and a data set of these questions, each `A + B ...`; return it."""
    folder.mkdir(parents=True, exist_ok=True)
    module = f"batch_tools_{crc32(str(folder).encode())}"  # a process that makes several batches imports each once
    files = {
        "solve.mas": SOLVE,
        "guess.mas": GUESS,
        "mas.toml": CONFIG.replace("MODULE", module),
        "script.toml": SCRIPT,
        "other.toml": SCRIPT.replace('"4"', '"5"'),
        f"{module}.py": TOOLS,
        "data.jsonl": "".join(
            json.dumps({"question": one, "answer": int(one.split()[0]) + int(one.split()[2])}) + "\n"
            for one in questions
        ),
    }
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
    return folder


def sums(count: int, *, more: dict[int, str] | None = None) -> list[str]:
    """Return so many questions; `more` is what some of them say besides."""
    return [f"{n} + {n % 3} {(more or {}).get(n, '')}".strip() for n in range(count)]


def asked(folder: Path) -> list[tuple[str, int]]:
    """Return what the tool was asked, and in which process."""
    try:
        lines = (folder / "asked.txt").read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return []
    return [(question, int(process)) for question, process in (line.split("\t") for line in lines)]


def command(*words: object) -> list[str]:
    """Return the command line of `mas` with these words."""
    return [sys.executable, "-m", "masdsl", *map(str, words)]


def environment() -> dict[str, str]:
    """Return the environment of a process that finds this checkout."""
    return os.environ | {"PYTHONPATH": str(Path(__file__).resolve().parents[2])}
