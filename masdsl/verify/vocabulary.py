"""The names that generated code may import, and those that mean one thing in the whole file."""

from __future__ import annotations

from typing import Final

TYPING: Final = frozenset({"Annotated", "Final"})
FUNCTIONS: Final = frozenset(
    {
        *(
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
            "int_",
            "item",
        ),
        *("join", "last", "len_", "lines", "lower", "majority", "max_", "min_", "minus", "mod", "negative", "number"),
        *("otherwise", "plus", "present", "range_", "reverse", "round_", "slice_", "sort", "split", "starts_with"),
        *("sum_", "text", "times", "trim", "unique", "upper"),
    }
)
"""What a function may compute with: pure, total, bounded."""
OTHERS: Final = frozenset(
    {
        *("Agent", "Alias", "Enum", "Items", "Limits", "Model", "Program", "Record", "Run", "Started", "StepFailed"),
        *("Tokens", "Tool", "flow"),
    }
)
EXTERNS: Final = frozenset(
    {
        *("agreement", "best", "chosen", "code_block", "exp", "final_answer", "log", "normalise", "overlap", "power"),
        *("ranked", "replaced", "same", "shuffled", "similarity", "sqrt", "tagged", "vote", "weighted"),
    }
)
"""The functions of the standard library's modules: as pure, total and bounded as the others."""
CALLABLE: Final = FUNCTIONS | EXTERNS
MODULES: Final = {
    "typing": TYPING,
    "masdsl.runtime": FUNCTIONS | OTHERS,
    "masdsl.runtime.externs": EXTERNS,
}
"""What may be imported from where."""
PLAIN_TYPES: Final = frozenset({"str", "int", "float", "bool"})
LIMITS: Final = frozenset({"calls", "tokens", "usd", "seconds"})
FRAME_CALLS: Final = frozenset({"call", "sample", "map", "sample_in_order", "map_in_order"})
RESERVED: Final = frozenset({"AssertionError", "list", "tuple", "PROGRAM", *PLAIN_TYPES})
"""Names that mean one thing in every file, besides those that it imports."""
