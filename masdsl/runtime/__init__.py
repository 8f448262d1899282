"""What compiled programs import, and all they need: agents, tools, types, runs, and the built-in functions.

A run goes through these modules, from the outside in:

    program     a compiled program; runs a flow and returns a `Result`
    run         frames of a running flow: steps, loops, samples, calls of flows
    session     what all steps of a run share; scopes in which failures stop and nothing paid for is cancelled
    asking      how an agent is asked (`turns`: attempts, faults shown to the model, deadlines; `acting`: tools)
    using       how a tool is used
    stepping    one step: its value from the journal, or from doing it
    recording   what a run keeps in its journal (`past`: what it finds there; `hashes`: what makes a row worth keeping)
    state       where a run stands, for whoever stops or repairs it
    meter       budgets: reserve, call, settle (`accounts`: what a request and a reply count)
    prompt      templates filled in with plain data
    replies     a model's words as a typed value (`loose`: JSON as models write it; `mend`, `words`)
    shapes      types at run time (`masdsl.formats`: what models are told about them)
    models      what is asked in the end

The compiler is never loaded, and no model library before a model of its kind is asked.
"""

from masdsl.runtime.agent import Agent, Model
from masdsl.runtime.builtins import (
    abs_,
    all_,
    any_,
    contains,
    count,
    divide,
    ends_with,
    first,
    float_,
    floor,
    int_,
    item,
    join,
    last,
    len_,
    lines,
    lower,
    majority,
    max_,
    min_,
    minus,
    mod,
    negative,
    number,
    otherwise,
    plus,
    present,
    range_,
    reverse,
    round_,
    slice_,
    sort,
    split,
    starts_with,
    sum_,
    text,
    times,
    trim,
    unique,
    upper,
)
from masdsl.runtime.events import Event
from masdsl.runtime.failures import (
    BudgetExceeded,
    BudgetRefused,
    InputError,
    NotInJournal,
    RunFailed,
    RunStopped,
    ShapeError,
    StepFailed,
)
from masdsl.runtime.meter import Limits, Measures
from masdsl.runtime.program import Program
from masdsl.runtime.result import Result
from masdsl.runtime.run import Run, flow
from masdsl.runtime.session import RawReply, Started
from masdsl.runtime.shapes import Alias, Enum, Items, Record, Tokens
from masdsl.runtime.state import Failure, FinishedStep, State
from masdsl.runtime.tool import Tool

__all__ = [
    "Agent",
    "Alias",
    "BudgetExceeded",
    "BudgetRefused",
    "Enum",
    "Event",
    "Failure",
    "FinishedStep",
    "InputError",
    "Items",
    "Limits",
    "Measures",
    "Model",
    "NotInJournal",
    "Program",
    "RawReply",
    "Record",
    "Result",
    "Run",
    "RunFailed",
    "RunStopped",
    "ShapeError",
    "Started",
    "State",
    "StepFailed",
    "Tokens",
    "Tool",
    "abs_",
    "all_",
    "any_",
    "contains",
    "count",
    "divide",
    "ends_with",
    "first",
    "float_",
    "floor",
    "flow",
    "int_",
    "item",
    "join",
    "last",
    "len_",
    "lines",
    "lower",
    "majority",
    "max_",
    "min_",
    "minus",
    "mod",
    "negative",
    "number",
    "otherwise",
    "plus",
    "present",
    "range_",
    "reverse",
    "round_",
    "slice_",
    "sort",
    "split",
    "starts_with",
    "sum_",
    "text",
    "times",
    "trim",
    "unique",
    "upper",
]
