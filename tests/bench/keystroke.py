"""What a keystroke in an editor costs: CPU time until a changed text is checked, and of what editors ask for after it.

    python -m tests.bench.keystroke [--lines 500] [--rounds 3]

The program is made of the examples, with names made unique. A statement is typed in the middle of its last flow, letter
by letter, so that most of the texts have errors. Every letter is one measurement; the median, the 95th percentile and
the greatest are printed.
"""

from __future__ import annotations

import argparse
import os
import re
import tempfile
from collections.abc import Callable
from pathlib import Path
from statistics import median
from time import process_time

from masdsl.cli import collect_garbage_less_often
from masdsl.editor import changes, completion, hints, outline, tokens
from masdsl.editor.document import Document
from masdsl.editor.workspace import Workspace
from masdsl.node import Span

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ("reflexion", "vote", "router", "map", "chain_of_thought")
TYPED = "  again = writer_0(task, advice: upper(draft))\n"
_DECLARED = re.compile(r"^(?:type|agent|flow|tool) (\w+)", re.MULTILINE)


def program(lines: int) -> str:
    """Return a program of at least so many lines, made of copies of the examples."""
    parts, count, copy = ["mas 1\n"], 1, 0
    uses: list[str] = []
    while count < lines:
        text = (
            ROOT / "examples" / EXAMPLES[copy % len(EXAMPLES)] / f"{EXAMPLES[copy % len(EXAMPLES)]}.mas"
        ).read_text()
        body = []
        for line in text.splitlines():
            if line.startswith("use "):
                uses.append(line)
            elif not line.startswith(("mas 1", "budget", "rectify")):
                body.append(line)
        text = "\n".join(body)
        for name in _DECLARED.findall(text):
            separator = "" if name[0].isupper() else "_"
            text = re.sub(rf"\b{name}\b(?!:)", f"{name}{separator}{copy}", text)
        parts.append(text + "\n")
        count += text.count("\n") + 1
        copy += 1
    parts.append("flow typed(task) -> text(120) {\n  draft = writer_0(task)\n  return draft\n}\n")
    return parts[0] + "\n".join(dict.fromkeys(uses)) + "\n" + "".join(parts[1:])


def measure(text: str, rounds: int) -> dict[str, list[float]]:
    """Return the milliseconds of CPU that each kind of work took, for each letter."""
    found: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        name = os.path.join(folder, "typed.mas")
        files = Workspace((folder,))
        at = text.rindex("  return draft")
        files.open(name, text)
        files.document(name)

        def timed(what: str, work: Callable[[], object]) -> None:
            begin = process_time()
            work()
            found.setdefault(what, []).append((process_time() - begin) * 1000)

        for _ in range(rounds):
            for length in range(1, len(TYPED) + 1):
                typed = text[:at] + TYPED[:length] + text[at:]
                offset = at + length

                def check(typed: str = typed) -> Document | None:
                    files.open(name, typed)
                    return files.document(name)

                timed("check", check)
                document = check()
                assert document is not None
                whole = Span(0, len(typed))
                timed("diagnostics with fixes", lambda: list(changes.actions(files, document, whole)))  # noqa: B023
                timed("semantic tokens", lambda: tokens.semantic_tokens(document))  # noqa: B023
                timed("inlay hints and lenses", lambda: [*hints.hints(document, whole), *hints.lenses(document)])  # noqa: B023
                timed("outline and folding", lambda: [outline.outline(document), outline.folds(document)])  # noqa: B023
                timed("completion", lambda: completion.complete(files, name, offset))  # noqa: B023
    return found


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lines", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    collect_garbage_less_often()  # as `mas` does
    text = program(options.lines)
    print(f"a keystroke in {text.count(chr(10))} lines, ms of CPU  median    95 %  greatest")
    for what, times in measure(text, options.rounds).items():
        ordered = sorted(times)
        high = ordered[int(len(ordered) * 0.95)]
        print(f"  {what.ljust(36)} {median(times):8.1f} {high:7.1f} {ordered[-1]:9.1f}")


if __name__ == "__main__":
    main()
