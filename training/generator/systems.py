"""Short systems: for a kind of query, a type, tools and a number of calls, one program and why it suits.

Where queries of a kind have a gold answer, which of the `CANDIDATES` is taken is measured (`training.data.selection`);
the others are by design, since nothing that SmolLM2 answers tells one summary from another. What is wanted of all: one
call where few are granted, a second look where there is room, and never a call that cannot change the answer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, NamedTuple


class Wanted(NamedTuple):
    """What a system is for: the head of its flow, the tools that are granted, and the calls that there are."""

    kind: str
    signature: str
    tools: tuple[str, ...]
    calls: int

    @property
    def returns(self) -> str:
        """The type that is returned, as it is written."""
        return self.signature.rpartition("->")[2].strip()

    @property
    def query(self) -> str:
        """The parameter, as it is written: `query`, or with its size."""
        return self.signature.partition("(")[2].rpartition("->")[0].strip().removesuffix(")")


class Designed(NamedTuple):
    """A system: the sentence that says why it suits, and its program."""

    reasons: str
    program: str


CANDIDATES: Final[Mapping[str, tuple[str, ...]]] = {
    "sum": ("one", "cot", "number", "vote_number", "vote_cot", "review", "calculation"),
    "word_problem": ("one", "cot", "number", "vote_number", "vote_cot", "review", "calculation"),
    "choice": ("cot", "letter", "vote_letter"),
    "fact": ("one", "cot", "vote", "vote_short"),
    "label": ("one", "cot", "vote", "vote_cot"),
}
"""The systems that were measured for kinds with gold answers: the files of `candidates/`, by name."""
BY_DESIGN: Final[Mapping[str, str]] = {
    "sum": "one",
    "word_problem": "cot",
    "choice": "letter",
    "fact": "cot",
    "label": "cot",
}
"""What is taken where no candidate solved a query."""


def designed(wanted: Wanted, chosen: Mapping[str, str]) -> Designed:
    """Return the system for what is wanted; `chosen` says for a kind with gold answers which candidate it is."""
    return _KINDS[wanted.kind](wanted, chosen.get(wanted.kind, ""))


def _program(wanted: Wanted, agents: str, body: str, *, uses: str = "") -> str:
    tools = "".join(f"{line}\n" for line in wanted.tools)
    return f"mas 1\n{uses}{tools}{agents}\n{wanted.signature} {{\n{body}}}\n"


def _agent(name: str, params: str, returns: str, prompt: str, more: str = "") -> str:
    return f'agent {name}({params}) -> {returns}{more} "{prompt}"\n'


def _one(wanted: Wanted, name: str, prompt: str, reasons: str) -> Designed:
    agents = _agent(name, wanted.query, wanted.returns, prompt)
    return Designed(reasons, _program(wanted, agents, f"return {name}(query)\n"))


def _thought(wanted: Wanted, name: str, prompt: str, reasons: str, size: int = 80) -> Designed:
    """Return one call that gives its thoughts before the answer."""
    inner = "text(20)" if wanted.returns == "text" else wanted.returns
    agents = _agent(name, wanted.query, f"(thinking: text({size}), answer: {inner})", prompt)
    return Designed(reasons, _program(wanted, agents, f"found = {name}(query)\nreturn found.answer\n"))


def _draws(calls: int) -> int:
    return 5 if calls >= 5 else 3


# ---------------------------------------------------------------- kinds with gold answers


def _sum(wanted: Wanted, chosen: str) -> Designed:
    if wanted.returns in ("int", "float") or chosen == "number":
        return _one(
            wanted, "solver", "Work out the number that is asked for.", "A sum needs a single number: one call."
        )
    prompt = "Work this out, and end with the number that is asked for."
    return _one(wanted, "solver", prompt, "A sum is short: one call works it out.")


def _word_problem(wanted: Wanted, chosen: str) -> Designed:
    why = "A word problem takes several steps: the thinking comes before the number."
    prompt = "Think step by step, then give the number that is asked for."
    if chosen == "one":
        return _one(wanted, "solver", "Work this out, and end with the number that is asked for.", why)
    return _thought(wanted, "solver", prompt, why, 120)


def _choice(wanted: Wanted, chosen: str) -> Designed:
    letters = "type Letter = a | b | c | d | e\n"
    prompt = "Think about each option, then choose the right one."
    if chosen == "vote_letter" and wanted.calls >= 3:
        agents = letters + _agent(
            "chooser", wanted.query, "(thinking: text(80), answer: Letter)", prompt, more=" temp 0.7"
        )
        body = f"choices = {_draws(wanted.calls)} of chooser(query)\nbest = vote(choices)\nreturn text(best.answer)\n"
        why = "Options can be counted: several answers, and the most frequent letter."
        return Designed(why, _program(wanted, agents, body, uses="use std.vote: vote\n"))
    agents = letters + _agent("chooser", wanted.query, "(thinking: text(80), answer: Letter)", prompt)
    body = "choice = chooser(query)\nreturn text(choice.answer)\n"
    return Designed("Options are given, and few calls: one choice after some thought.", _program(wanted, agents, body))


def _fact(wanted: Wanted, chosen: str) -> Designed:
    why = "A fact is known or not: one call that says what it knows, then answers."
    if chosen == "one":
        return _one(wanted, "expert", "Answer in a few words.", "A fact is known or not: one call.")
    return _thought(wanted, "expert", "Say what you know about this, then give the answer in a few words.", why)


def _label(wanted: Wanted, chosen: str) -> Designed:
    prompt = "Say what speaks for each label, then give the one that fits."
    why = "A label is asked for: one call that weighs the labels, then gives one."
    if chosen == "one":
        return _one(wanted, "reader", "Give the label that fits, and nothing else.", "A label is one word: one call.")
    return _thought(wanted, "reader", prompt, why)


# ---------------------------------------------------------------- by design


def _yes_no(wanted: Wanted, _: str) -> Designed:
    if wanted.calls >= 3:
        agents = _agent("judge", wanted.query, "bool", "Is this true?", more=" temp 0.7")
        body = f"votes = {_draws(wanted.calls)} of judge(query)\nreturn vote(votes)\n"
        why = "Yes or no can be counted: several answers, and the majority."
        return Designed(why, _program(wanted, agents, body, uses="use std.vote: vote\n"))
    return _one(wanted, "judge", "Is this true?", "Yes or no, and few calls: one call.")


def _rating(wanted: Wanted, _: str) -> Designed:
    why = "A grade needs its reasons first: one call that weighs, then gives the number."
    return _thought(wanted, "critic", "Say what speaks for and against, then give the number.", why)


def _drafted(
    wanted: Wanted, draft: tuple[str, str], check: tuple[str, str], final: tuple[str, str], reasons: tuple[str, str]
) -> Designed:
    """Return a draft, what is wrong with it, and the final text where there are three calls; else one call."""
    (drafter, draft_prompt), (checker, check_prompt), (editor, edit_prompt) = draft, check, final
    if wanted.calls < 3:
        return _one(wanted, drafter, draft_prompt, reasons[1])
    agents = (
        _agent(drafter, wanted.query, "text(300)", draft_prompt)
        + _agent(checker, f"{wanted.query}, draft: text(300)", "text(120)", check_prompt)
        + _agent(editor, f"{wanted.query}, draft: text(300), faults: text(120)", wanted.returns, edit_prompt)
    )
    body = f"draft = {drafter}(query)\nfaults = {checker}(query, draft)\nreturn {editor}(query, draft, faults)\n"
    return Designed(reasons[0], _program(wanted, agents, body))


def _followed(wanted: Wanted, first: tuple[str, str], second: tuple[str, str], reasons: tuple[str, str]) -> Designed:
    """Return a first text and a second look at it where there are two calls; else one call."""
    (name, prompt), (again, prompt_again) = first, second
    if wanted.calls < 2:
        return _one(wanted, name, prompt, reasons[1])
    agents = _agent(name, wanted.query, "text(200)", prompt) + _agent(
        again, f"{wanted.query}, draft: text(200)", wanted.returns, prompt_again
    )
    return Designed(reasons[0], _program(wanted, agents, f"draft = {name}(query)\nreturn {again}(query, draft)\n"))


def _summarise(wanted: Wanted, _: str) -> Designed:
    return _drafted(
        wanted,
        ("reader", "Summarise the text."),
        ("checker", "Which main points of the text are missing in the draft, or wrong?"),
        ("editor", "Write the summary again, short, with these faults mended."),
        (
            "A summary has to be complete: a draft, what it misses, and the final text.",
            "A summary, and few calls: one.",
        ),
    )


def _extract(wanted: Wanted, _: str) -> Designed:
    return _followed(
        wanted,
        ("finder", "List what is asked for, as it stands in the text."),
        ("checker", "Compare the list with the text: leave out what is not there, add what is missing."),
        ("Something is easily overlooked: one finds, another compares with the text.", "A list, and few calls: one."),
    )


def _compare(wanted: Wanted, _: str) -> Designed:
    prompt = "Say which is better and why."
    if wanted.calls < 3:
        return _one(wanted, "adviser", prompt, "A decision, and few calls: one call weighs both.")
    agents = (
        _agent("first_side", wanted.query, "text(150)", "Argue for the first of the two.")
        + _agent("second_side", wanted.query, "text(150)", "Argue for the second of the two.")
        + _agent("judge", f"{wanted.query}, one: text(150), other: text(150)", wanted.returns, prompt)
    )
    body = "one = first_side(query)\nother = second_side(query)\nreturn judge(query, one, other)\n"
    why = "Two sides are to be weighed: each has an advocate, and a judge decides."
    return Designed(why, _program(wanted, agents, body))


def _plan(wanted: Wanted, _: str) -> Designed:
    return _drafted(
        wanted,
        ("planner", "Make a plan, step by step."),
        ("critic", "What is missing in this plan, or cannot work?"),
        ("editor", "Write the final plan with these faults mended."),
        ("A plan has gaps at first: a planner, a critic, and the final plan.", "A plan, and few calls: one call."),
    )


def _ideas(wanted: Wanted, _: str) -> Designed:
    if wanted.calls < 4:
        return _one(wanted, "thinker", "List good ideas.", "Ideas, and few calls: one call lists some.")
    count = 5 if wanted.calls >= 6 else 3
    agents = _agent("thinker", wanted.query, "text(60)", "Give one original idea.", more=" temp 1.0") + _agent(
        "picker", f"{wanted.query}, ideas: text(60)[{count}]", wanted.returns, "Choose the best ideas and list them."
    )
    body = f"ideas = {count} of thinker(query)\nreturn picker(query, ideas)\n"
    return Designed("Ideas gain by number: several on their own, then a choice.", _program(wanted, agents, body))


def _code(wanted: Wanted, _: str) -> Designed:
    if wanted.tools and wanted.calls >= 2:
        agents = _agent("coder", wanted.query, "text(600)", "Write the Python code, with a test.") + _agent(
            "debugger", f"{wanted.query}, code: text(600), log: text(300)", wanted.returns, "Mend the code by this log."
        )
        body = (
            "code = coder(query)\ntested = python(code)\nif tested.passed {\nreturn code\n}\n"
            "return debugger(query, code, tested.log)\n"
        )
        return Designed(
            "Code can be run: it is written, tried, and mended if it fails.", _program(wanted, agents, body)
        )
    return _followed(
        wanted,
        ("coder", "Write the Python code."),
        ("reviewer", "Find mistakes in the code, and write it again without them."),
        ("Code cannot be run here: one writes it, another reviews it.", "Code, and few calls: one call writes it."),
    )


def _writing(wanted: Wanted, _: str) -> Designed:
    return _drafted(
        wanted,
        ("writer", "Write it."),
        ("critic", "What would make this text better? Name two things."),
        ("editor", "Write the final text with these improvements."),
        (
            "A text gains by a second look: a writer, a critic, and the final text.",
            "A text, and few calls: one writer.",
        ),
    )


def _translate(wanted: Wanted, _: str) -> Designed:
    return _followed(
        wanted,
        ("translator", "Do what is asked with the text."),
        ("checker", "Compare the draft with the text, and give the corrected version alone."),
        (
            "Meaning is easily lost: one rewrites, another compares and corrects.",
            "A sentence, and few calls: one call.",
        ),
    )


def _explain(wanted: Wanted, _: str) -> Designed:
    return _followed(
        wanted,
        ("expert", "Explain this correctly and completely."),
        ("teacher", "Say this in simple words, with an example."),
        ("An explanation has to be right and simple: an expert, then a teacher.", "An explanation, few calls: one."),
    )


def _parts(wanted: Wanted, _: str) -> Designed:
    if wanted.calls < 6:
        return _one(wanted, "expert", "Answer each of the questions.", "Several questions, and few calls: one call.")
    agents = (
        _agent("splitter", wanted.query, "text(40)[4]", "List the questions.")
        + _agent("expert", "question: text(40)", "text(80)", "Answer in one or two sentences.")
        + _agent(
            "editor", f"{wanted.query}, answers: text(80)[4]", wanted.returns, "Put the answers together in order."
        )
    )
    body = (
        "questions = splitter(query)\nanswers = each question in questions: expert(question)\n"
        "return editor(query, answers)\n"
    )
    why = "Several questions: they are split, answered one by one, and put together."
    return Designed(why, _program(wanted, agents, body))


_KINDS: Final[Mapping[str, Callable[[Wanted, str], Designed]]] = {
    "sum": _sum,
    "word_problem": _word_problem,
    "choice": _choice,
    "fact": _fact,
    "label": _label,
    "yes_no": _yes_no,
    "rating": _rating,
    "summarise": _summarise,
    "extract": _extract,
    "compare": _compare,
    "plan": _plan,
    "ideas": _ideas,
    "code": _code,
    "writing": _writing,
    "translate": _translate,
    "explain": _explain,
    "parts": _parts,
}
KINDS: Final = tuple(_KINDS)
