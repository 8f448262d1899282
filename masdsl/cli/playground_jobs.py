"""What a worker of the playground does (`masdsl.playground.workers`): it looks at programs and at kept runs.

python -m masdsl.cli.playground_jobs    # a job a line on standard input; see `masdsl.playground.workers`
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from json import dumps, loads
from typing import Any, Final, NamedTuple

from masdsl.cli.boundary import UsageError, explain_failure
from masdsl.config import Config, load_config
from masdsl.diagnostics.base import Findings
from masdsl.diagnostics.render import json_document
from masdsl.money import PICODOLLARS
from masdsl.source import Source

LONGEST_SECONDS: Final = 120
"""After that a job is ended by the system, whatever it does: who asked has gone long ago."""
MOST_MEMORY: Final = 4 << 30
"""Bytes of a worker's address space."""
LINK: Final = "#L{line}"
"""What the parts of a picture link to: the page goes to that line."""
Job = Mapping[str, Any]


class Refused(Exception):
    """A job that gives no result: the title, the detail, the next action; and the findings that say more."""

    def __init__(self, title: str, detail: str, then: str, findings: Findings | None = None) -> None:
        super().__init__(f"{title}: {detail}")
        self.data: dict[str, Any] = {"status": 422, "title": title, "detail": detail, "next": then}
        if findings is not None:
            self.data["diagnostics"] = json_document(findings.sorted())["findings"]


class Text(NamedTuple):
    """A text of the page as the compiler sees it, and the configuration that holds for it."""

    source: Source
    config: Config
    findings: Findings


def look(job: Job) -> dict[str, Any]:
    """Return what is wrong with a text, and its flows with their parameters and worst cases."""
    from masdsl.loaded import LoadedProgram
    from masdsl.pipeline import check_source
    from masdsl.playground.flows import flows_of

    text = _text(job, "text")
    program = check_source(text.source, text.config, text.findings) if text.findings.ok else None
    is_fine = program is not None and text.findings.ok
    flows = flows_of(LoadedProgram(program, text.config, None, None)) if is_fine and program is not None else []
    return {"ok": is_fine, "diagnostics": json_document(text.findings.sorted())["findings"], "flows": flows}


def change(job: Job) -> dict[str, Any]:
    """Return the patch that makes a text of the program of a kept run, or the one that is given, once it is checked.

    It is empty where the two differ in layout and comments alone. The run's modules are those that it began with.
    """
    from masdsl.patch.patching import apply_patch
    from masdsl.pipeline import check_source
    from masdsl.rectify.sources import reader_of
    from masdsl.rectify.texts import texts_of
    from masdsl.syntax.print import print_document

    header, rows = _run(job)
    now = texts_of(header, rows)[-1]
    findings = Findings()
    config = _config(job, findings)
    reader = reader_of(header.sources)
    said = job.get("patch")
    if said is None:
        _, after, found, _ = _difference({**job, "path": now.name, "before": now.text, "after": job["text"]})
        if not found.edits:
            return {"patch": ""}
        said, findings = print_document(found), after.findings
        check_source(after.source, config, findings, reader)
    else:
        apply_patch(
            Source("<patch>", said), now, findings, lambda text, faults: check_source(text, config, faults, reader)
        )
    if not findings.ok:
        first = findings.sorted()[0].diagnostic.title()
        raise Refused("The run cannot go on like this", first, "mend what `diagnostics` lists", findings)
    return {"patch": said}


def difference(job: Job) -> dict[str, Any]:
    """Return how two texts differ: the patch, what it does line by line, the worst cases, a picture of both."""
    from masdsl.graph.svg import render
    from masdsl.patch.view import as_text, view
    from masdsl.syntax.print import print_document

    before, after, found, tree = _difference(job)
    printed = print_document(found) if found.edits else ""
    lines = [{"sign": line[:1], "text": line[2:]} for line in as_text(view(found, tree)).splitlines()]
    answer: dict[str, Any] = {"patch": printed, "lines": lines}
    answer["bound"] = {"before": _bound_of(before), "after": _bound_of(after)}
    if printed and all(answer["bound"].values()):
        from masdsl.cli.graph import changed

        try:
            drawn = changed(
                before.source, after.source, Source("<patch>", printed), before.config, None, None, Findings()
            )
        except UsageError:  # it would be too large, or there is nothing to draw
            drawn = None
        if drawn is not None:
            answer["svg"] = render(drawn, LINK)
    return answer


def picture(job: Job) -> dict[str, Any]:
    """Return the picture of a text, or of a kept run."""
    from masdsl.cli.graph import pictured
    from masdsl.graph.svg import render
    from masdsl.pipeline import Checked, check_source

    if job.get("run") is not None:
        return {"svg": render(_picture_of_run(job), LINK)}
    text = _text(job, "text")
    program = check_source(text.source, text.config, text.findings) if text.findings.ok else None
    drawn = pictured(Checked(text.source, program, text.config), None, None) if text.findings.ok else None
    if drawn is None:
        raise Refused("There is no picture", "the program has errors", "mend what `diagnostics` lists", text.findings)
    return {"svg": render(drawn, LINK)}


def report(job: Job) -> dict[str, Any]:
    """Return the page about a kept run."""
    from masdsl.cli.report import of_run

    return {"html": of_run(*_run(job))}


def step(job: Job) -> dict[str, Any] | None:
    """Return what a step of a kept run was asked, call by call; None where the journal has nothing of it."""
    from masdsl.cli.report import kept_steps
    from masdsl.report.collect import VALUE

    header, rows = _run(job)
    found = next((one for one in kept_steps(header, rows) if one.address == job["at"]), None)
    if found is None:
        return None
    messages = () if found.asked is None else found.asked.messages
    calls = [
        {
            "attempt": number,
            "model": call.model,
            # what later calls were told besides is in no journal: their faults say why they were made
            "messages": [{"role": role, "text": text} for role, text in messages] if not number else [],
            "reply": call.reply,
            "fault": call.fault or call.unfit,
            "tokens_in": call.tokens_in,
            "tokens_out": call.tokens_out,
            "seconds": call.seconds,
            "usd": call.picodollars / PICODOLLARS,
        }
        for number, call in enumerate(found.calls)
    ]
    told: dict[str, Any] = {"address": found.address, "state": found.state, "reason": found.reason, "calls": calls}
    if found.asked is not None and found.asked.kind == "tool":
        told["inputs"] = dict(found.asked.inputs)
    return told | ({"value": found.value} if found.state == VALUE else {})


def bound(job: Job) -> dict[str, Any] | None:
    """Return the worst case of the flow of a kept run, as its program stands; None where that has errors by now."""
    from masdsl.loaded import LoadedProgram
    from masdsl.pipeline import check_source
    from masdsl.playground.flows import flows_of
    from masdsl.rectify.sources import reader_of
    from masdsl.rectify.texts import texts_of

    header, rows = _run(job)
    findings = Findings()
    config = _config(job, findings)
    program = check_source(texts_of(header, rows)[-1], config, findings, reader_of(header.sources))
    if program is None or not findings.ok:
        return None
    flows = flows_of(LoadedProgram(program, config, None, None))
    return next((one["bound"] for one in flows if one["name"] == header.flow), None)


# ---------------------------------------------------------------- parts


def _config(job: Job, findings: Findings) -> Config:
    config = load_config(job["folder"], findings)
    return config._replace(tiers={**config.tiers, **job["tiers"]})


def _text(job: Job, name: str) -> Text:
    from masdsl.reading import decode

    findings = Findings()
    config = _config(job, findings)
    return Text(decode(job["path"], job[name].encode("utf-8", "surrogatepass"), findings), config, findings)


def _difference(job: Job) -> tuple[Text, Text, Any, Any]:
    """Return two texts, the patch that makes one of the other, and the tree of the first."""
    from masdsl.patch.diff import NotAProgram, diff
    from masdsl.syntax import ast
    from masdsl.syntax.parse import parse_program

    before, after = _text(job, "before"), _text(job, "after")
    trees = []
    for text, which in ((before, "before"), (after, "after")):
        parsed = parse_program(text.source, text.findings) if text.findings.ok else None
        if parsed is None or not parsed.ok or not isinstance(parsed.document, ast.Program):
            detail = f"the program {which} the change has errors of syntax"
            raise Refused("The programs cannot be compared", detail, "mend what `diagnostics` lists", text.findings)
        trees.append(parsed.document)
    try:
        return before, after, diff(trees[0], trees[1]), trees[0]
    except NotAProgram as error:
        raise Refused("The programs cannot be compared", str(error), "give one of both another name") from None


def _bound_of(text: Text) -> dict[str, Any] | None:
    """Return the worst case of the flow that a run begins with; None for a program with errors."""
    from masdsl.loaded import LoadedProgram
    from masdsl.pipeline import check_source
    from masdsl.playground.flows import flows_of

    findings = Findings()
    program = check_source(text.source, text.config, findings)
    if program is None or not findings.ok:
        return None
    flows = flows_of(LoadedProgram(program, text.config, None, None))
    named = [one for one in flows if one["name"] == "main"] or flows
    return named[0]["bound"] if named else None


def _run(job: Job) -> Any:
    from masdsl.cli.keeping import opened, told

    journal = opened(job["journal"])
    try:
        with told():
            return journal.read(job["run"])
    finally:
        journal.close()


def _picture_of_run(job: Job) -> Any:
    from masdsl.cli.graph import picture_of_run, run_line
    from masdsl.graph.overlay import overlay

    header, rows = _run(job)
    findings = Findings()
    drawn = picture_of_run(header, rows, _config(job, findings), header.flow, None, findings)
    if drawn is None:
        raise Refused("There is no picture", "the program has errors now", "mend what `diagnostics` lists", findings)
    return overlay(drawn, rows, [run_line(header, rows)], header.tiers)


# ---------------------------------------------------------------- the process

JOBS: Final[Mapping[str, Callable[[Job], Any]]] = {
    "look": look,
    "change": change,
    "diff": difference,
    "graph": picture,
    "report": report,
    "step": step,
    "bound": bound,
}


def answer_to(job: Job) -> dict[str, Any]:
    """Return what a job gives, or why it gives nothing."""
    from masdsl.graph.layers import NoLayout

    try:
        return {"done": JOBS[job["job"]](job)}
    except Refused as refused:
        return {"refused": refused.data}
    except UsageError as error:
        told = {"status": 422, "title": "This cannot be shown", "detail": str(error), "next": error.advice}
        return {"refused": told}
    except NoLayout as missing:
        told = {"status": 422, "title": "There is no picture", "detail": "there is no library for layouts here"}
        return {"refused": {**told, "next": str(missing)}}
    except (RecursionError, MemoryError):
        told = {"status": 422, "title": "The program is too much", "detail": "it is nested too deeply, or too large"}
        return {"refused": {**told, "next": "make it smaller"}}
    except Exception as error:
        explain_failure(error, [str(job.get("job"))])
        told = {"status": 500, "title": "masdsl made a mistake", "detail": f"{type(error).__name__}"}
        return {"refused": {**told, "next": "report it, with what the terminal says"}}


def main() -> int:
    """Do jobs until there are no more."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # whatever else is printed is no answer
    _limit()
    for line in sys.stdin.buffer:
        job = loads(line)
        _deadline(LONGEST_SECONDS, job["seconds"])
        data = dumps(answer_to(job)).encode()
        answers.write(b"%d\n%b" % (len(data), data))
        answers.flush()
        _deadline(0, 0)
    return 0


def _limit() -> None:
    """Keep this process from taking the machine's memory, and from ending with a Ctrl-C that is for the playground."""
    import signal

    from masdsl.cli import collect_garbage_less_often

    collect_garbage_less_often()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if sys.platform != "win32":
        import resource

        _, hard = resource.getrlimit(resource.RLIMIT_AS)
        most = MOST_MEMORY if hard == resource.RLIM_INFINITY else min(MOST_MEMORY, hard)
        resource.setrlimit(resource.RLIMIT_AS, (most, hard))


def _deadline(seconds: int, work: float) -> None:
    """Let the system end this process after so many seconds, or so many of processor time (SIGPROF); 0: never."""
    if sys.platform != "win32":
        import signal

        signal.alarm(seconds)
        signal.setitimer(signal.ITIMER_PROF, work)


if __name__ == "__main__":
    sys.exit(main())
