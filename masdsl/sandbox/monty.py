"""What monty prints, read as if it were what a sandbox of CPython replies."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from masdsl.sandbox.inside.monty import LINES_BEFORE

if TYPE_CHECKING:
    from masdsl.sandbox.process import Outcome

VERDICT: Final = re.compile(rb"([0-9.]+(?:ns|\xc2\xb5s|\xce\xbcs|ms|s) \xe2\x9d\xaf .*)\Z", re.DOTALL)
"""How monty's command ends standard error: the time that it took, and `None` or an error."""
UNREADABLE: Final = re.compile(rb"(error:\n?Traceback.*)\Z", re.DOTALL)
"""How it ends standard error where a program cannot be parsed."""
PLACE: Final = re.compile(r'File "[^"\n]*", line ([0-9]+)(?:, in ([^\n]*))?')


def marked(request: dict[str, Any]) -> str:
    """Choose a mark for the line with the reply, put it into a request and return it."""
    import secrets

    request["mark"] = f"masdsl-{secrets.token_hex(8)}:"
    return str(request["mark"])


def told_by_monty(outcome: Outcome, mark: str, code: str) -> Outcome:
    """Return an outcome whose reply is taken out of what monty printed."""
    stdout, found, reply = outcome.stdout.rpartition(b"\n" + mark.encode())
    if outcome.reply or outcome.cut:  # the process replied by itself, before it became monty; or there is no reply
        return outcome._replace(stdout=stdout if found else outcome.stdout)
    stderr, said = _split(outcome.stderr)
    if found and outcome.status == 0:
        return outcome._replace(reply=reply, stdout=stdout, stderr=stderr)
    if said:
        return outcome._replace(reply=_as_reply(said, code), stderr=stderr)
    return outcome


def _split(stderr: bytes) -> tuple[bytes, str]:
    """Return what the program wrote to standard error, and what monty says about its end."""
    for form in (VERDICT, UNREADABLE):
        found = form.search(stderr)
        if found is not None:
            return stderr[: found.start(1)], found.group(1).decode("utf-8", "replace")
    return stderr, ""


def _as_reply(said: str, code: str) -> bytes:
    """Return the reply for an error that monty reports."""
    import json

    message = _message(said)
    name = message.partition(":")[0]
    kinds = {"MemoryError": "memory", "SyntaxError": "syntax", "IndentationError": "syntax", "TimeoutError": "cpu"}
    kind = kinds.get(name, "exception")
    own = code.split("\n")
    places = [(int(line) - LINES_BEFORE, inside) for line, inside in PLACE.findall(said)]
    for line, inside in reversed(places):
        if 0 < line <= len(own):
            where = "" if inside in ("", "<module>") else f", in {inside}"
            shown = f" (line {line}{where}: `{own[line - 1].strip()[:200]}`)"
            return json.dumps(_reply(kind, message + shown, "program", line)).encode()
    return json.dumps(_reply(kind, message, "", 0)).encode()


def _message(said: str) -> str:
    """Return class and text of an error: what follows after the lines of the traceback, all of which are indented."""
    text = said.partition("error:")[2].lstrip()
    lines = text.split("\n")
    if lines[0].startswith("Traceback"):
        first = next((at for at, line in enumerate(lines) if at and not line.startswith(" ")), len(lines) - 1)
        lines = lines[first:]
    return "\n".join(lines).strip()


def _reply(kind: str, message: str, where: str, line: int) -> dict[str, Any]:
    error = {"kind": kind, "message": message[:2_000], "where": where, "line": line}
    return {"error": error, "passed": 0, "failed": 0}
