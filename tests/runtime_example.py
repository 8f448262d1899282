"""Flow `main` and two more, compiled from example.mas by masdsl 0.1.0.

Edit example.mas, not this file, then run `mas build example.mas`.
Worst case: 30 calls.

(Written by hand: it shows every form that generated code may take, and `test_runtime_example.py` runs it. The program
it stands for is quoted there.)
"""

from typing import Annotated, Final

from masdsl.runtime import (
    Agent,
    Enum,
    Items,
    Limits,
    Model,
    Program,
    Record,
    Run,
    StepFailed,
    Tokens,
    Tool,
    contains,
    divide,
    flow,
    majority,
    plus,
    present,
)


class Kind(Enum):  # mas:3
    math = "math"
    code = "code"
    other = "other"


class Review(Record):  # mas:4
    ok: bool
    issues: Annotated[list[Annotated[str, Tokens(60)]], Items(0, 8)]


class RunTestsResult(Record):  # mas:8
    passed: bool
    log: Annotated[str, Tokens(300)]


run_tests: Final = Tool[RunTestsResult](  # mas:8
    name="run_tests",
    inputs={"code": Annotated[str, Tokens(1500)]},
    returns=RunTestsResult,
    granted_as="sandbox.python",
    timeout=30.0,
)

search: Final = Tool[list[str]](  # mas:9
    name="search",
    inputs={"query": Annotated[str, Tokens(50)], "limit": int},
    optional={"limit": 3},
    returns=Annotated[list[Annotated[str, Tokens(200)]], Items(0, 5)],
    granted_as="web.search",
    doc="Search the web.",
)

sorter: Final = Agent[Kind](  # mas:11
    name="sorter",
    model="fast",
    inputs={"task": Annotated[str, Tokens(800)]},
    returns=Kind,
    retries=1,
    default=Kind.other,
    prompt="What kind of task is this?",
)

coder: Final = Agent[str](  # mas:14
    name="coder",
    model="smart",
    role="You are a careful programmer.",
    temperature=0.2,
    max_tokens=1500,
    inputs={
        "task": Annotated[str, Tokens(800)],
        "notes": Annotated[list[Annotated[str, Tokens(60)]], Items(0, 8)] | None,
    },
    optional={"notes": None},
    returns=Annotated[str, Tokens(1500)],
    retries=1,
    timeout=60.0,
    prompt="""\
Write the Python function described by the task:
{{ task }}
""",
)

reviewer: Final = Agent[Review](  # mas:22
    name="reviewer",
    model=Model("openai/gpt-4o-mini"),
    inputs={"task": Annotated[str, Tokens(800)], "code": Annotated[str, Tokens(1500)]},
    returns=Review,
    retries=0,
    default=Review(ok=True, issues=[]),
    prompt="List concrete defects only.",
)

researcher: Final = Agent[str](  # mas:26
    name="researcher",
    inputs={"question": Annotated[str, Tokens(800)]},
    returns=Annotated[str, Tokens(400)],
    retries=1,
    tools=(search,),
    steps=3,
    prompt="Answer the question. Search when in doubt.",
)

grader: Final = Agent[float | None](  # mas:29
    name="grader",
    inputs={"answer": Annotated[str, Tokens(800)]},
    returns=float | None,
    retries=0,
    prompt="Grade the answer from 0 to 10, or say none when it cannot be graded.",
)


async def write(run: Run, task: Annotated[str, Tokens(800)]) -> Annotated[str, Tokens(1500)]:  # mas:32
    """Draft, vote, then repair until the tests pass."""

    async def drafts_one(run: Run, task: str) -> str:
        return await run.call("drafts", coder, task=task)

    drafts = await run.sample(3, drafts_one, task=task)  # mas:33
    code = present(majority(drafts))  # mas:34
    for refine in run.loop("refine", 3):  # mas:35
        t = await refine.call("t", run_tests, code=code)  # mas:36
        if t.passed:  # mas:37
            break
        async with refine.within("slice", calls=2, seconds=90.0) as slice_:  # mas:38
            r = await slice_.call("r", reviewer, task=task, code=code)  # mas:39
            code = await slice_.call("code", coder, task=task, notes=r.issues)  # mas:40
    return code


@flow(limits=Limits(calls=8), default=0.0)
async def grade(
    run: Run,
    answers: Annotated[list[Annotated[str, Tokens(800)]], Items(0, 4)],
) -> float:  # mas:44
    """The mean grade of the answers that have one."""

    async def grades_one(run: Run, answer: str) -> float | None:
        return await run.call("grades", grader, answer=answer)

    grades = await run.map(  # mas:45
        [answer for answer in answers if answer != ""],
        grades_one,
    )
    total = 0.0  # mas:46
    known = 0  # mas:47
    for grade_, g in run.each("for", grades):  # mas:48
        if g is not None:  # mas:49
            total = plus(total, g)  # mas:50
            known = plus(known, 1)  # mas:51
    return divide(total, known)


async def main(
    run: Run,
    task: Annotated[str, Tokens(800)],
    hint: Annotated[str, Tokens(800)] = "",
) -> Annotated[str, Tokens(1500)]:  # mas:56
    async def facts_attempt(run: Run, task: str) -> str:
        try:
            return await run.call("facts", researcher, question=task)
        except StepFailed:
            return ""

    facts_task = run.start(facts_attempt(run, task=task))  # mas:57
    kind = await run.call("kind", sorter, task=task)  # mas:58
    facts = await facts_task
    match kind:  # mas:59
        case Kind.math | Kind.other:
            try:  # mas:61
                answer = await run.call("match.math.answer", coder, task=plus(plus(task, hint), facts))
            except StepFailed:
                answer = await run.call("match.math.answer.else", write, task=task)
        case Kind.code:
            answer = await run.call("match.code.answer", write, task=task)  # mas:64
    mark = await run.call("mark", grade, answers=[answer])  # mas:67
    if mark < 5 and not contains(answer, "def"):  # mas:68
        answer = await run.call("if.answer", coder, task=task, notes=["The grade was low."])  # mas:69
    return answer


PROGRAM: Final = Program(
    name="example.mas",
    flows=(write, grade, main),
    agents=(sorter, coder, reviewer, researcher, grader),
    tools=(run_tests, search),
    budget=Limits(calls=50, tokens=200_000, seconds=600.0),
)

if __name__ == "__main__":
    PROGRAM.cli()
