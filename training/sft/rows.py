"""Examples for supervised fine-tuning: rows in TRL's conversational prompt-completion form, and their tokens.

    {"prompt": [{"role": "system", ..}, {"role": "user", ..}], "completion": [{"role": "assistant", "content": ".."}]}

This is what `training.data` writes. The messages are trained on as they stand: no system prompt is added, and none is
taken away. No row is ever cut: one that is longer than `max_length` is left out, and counted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from masdsl.batch.rows import DataFault, rows_of
from training.stage.faults import TrainingFault

_TOLD: Final = 5
_ROLES: Final = ("system", "user", "assistant")


class Row(NamedTuple):
    """An example; `place` is the file and line that it comes from."""

    place: str
    prompt: tuple[dict[str, str], ...]
    completion: tuple[dict[str, str], ...]

    @property
    def text(self) -> str:
        """All that is said in it."""
        return "\n".join(message["content"] for message in (*self.prompt, *self.completion))


class Tokens(NamedTuple):
    """An example in tokens; the first `prompt` of `ids` are those of the prompt, and bear no loss."""

    ids: tuple[int, ...]
    prompt: int


class Tokenised(NamedTuple):
    """Examples that fit, and the places of those that do not: whose prompt alone is too long, and the others."""

    kept: tuple[Tokens, ...]
    prompt_too_long: tuple[str, ...]
    too_long: tuple[str, ...]

    def card(self) -> dict[str, Any]:
        """Return the counts, for the manifest."""
        lengths = sorted(len(one.ids) for one in self.kept)
        return {
            "rows_used": len(self.kept),
            "rows_too_long": len(self.too_long),
            "rows_whose_prompt_is_too_long": len(self.prompt_too_long),
            "tokens": sum(lengths),
            "tokens_with_loss": sum(len(one.ids) - one.prompt for one in self.kept),
            "median_length": lengths[len(lengths) // 2] if lengths else 0,
            "longest": lengths[-1] if lengths else 0,
        }


def read_rows(paths: Sequence[str]) -> tuple[Row, ...]:
    """Return the rows of data sets, in their order.

    Raises DataFault for a data set that cannot be read or has no rows, and TrainingFault for rows of another form, the
    first of which it names with their lines.
    """
    rows, faults = [], []
    for path in paths:
        for row in rows_of(path):
            place = f"{path}:{row.number}"
            fault = row.fault or _fault_of(row.columns)
            if fault:
                faults.append(f"{place}: {fault}")
            else:
                rows.append(Row(place, tuple(row.columns["prompt"]), tuple(row.columns["completion"])))
    if faults:
        more = f"\nand {len(faults) - _TOLD} rows more" if len(faults) > _TOLD else ""
        raise TrainingFault("\n".join(faults[:_TOLD]) + more + "\nmend or remove these rows; nothing was trained")
    if not rows:
        raise DataFault(f"there are no rows in {', '.join(paths) or 'no data set'}; make some: python -m training.data")
    return tuple(rows)


def _fault_of(columns: Mapping[str, Any]) -> str:
    """Return why a row is no example; empty where it is one."""
    for name in ("prompt", "completion"):
        if name not in columns:
            has = ", ".join(list(columns)[:8]) or "nothing"
            return f"it has no `{name}` (it has {has}); a row is a prompt and a completion, both lists of messages"
        messages = columns[name]
        if not isinstance(messages, list) or not messages:
            return f"`{name}` is no list of messages, such as [{{'role': 'user', 'content': '..'}}]"
        for message in messages:
            if not isinstance(message, dict) or message.get("role") not in _ROLES:
                return f"a message of `{name}` has no role out of {', '.join(_ROLES)}"
            if not isinstance(message.get("content"), str) or not message["content"].strip():
                return f"a message of `{name}` has no content"
    if any(message["role"] != "assistant" for message in columns["completion"]):
        return "a message of `completion` is not the assistant's"
    return "" if columns["prompt"][-1]["role"] == "user" else "the last message of `prompt` is not the user's"


def tokenise(rows: Sequence[Row], tokenizer: Any, max_length: int) -> Tokenised:
    """Return rows in tokens, as the tokenizer's chat template writes them.

    Raises TrainingFault where the template writes a prompt otherwise alone than before its completion: then a model
    would be trained on what it never sees.
    """
    kept: list[Tokens] = []
    prompts: list[str] = []
    others: list[str] = []
    for row in rows:
        prompt = _ids(tokenizer, row.prompt, begin_reply=True)
        ids = _ids(tokenizer, (*row.prompt, *row.completion), begin_reply=False)
        if ids[: len(prompt)] != prompt or len(ids) == len(prompt):
            raise TrainingFault(
                f"{row.place}: the chat template of the tokenizer writes the prompt otherwise when the reply follows; "
                "put a template into the model's folder (chat_template.jinja) that writes both alike"
            )
        if len(ids) <= max_length:
            kept.append(Tokens(tuple(ids), len(prompt)))
        else:
            (prompts if len(prompt) >= max_length else others).append(row.place)
    return Tokenised(tuple(kept), tuple(prompts), tuple(others))


def _ids(tokenizer: Any, messages: Sequence[dict[str, str]], *, begin_reply: bool) -> list[int]:
    try:
        found = tokenizer.apply_chat_template(
            list(messages), tokenize=True, add_generation_prompt=begin_reply, return_dict=True
        )
    except Exception as error:  # a template raises what it likes, `system` roles that it does not know among them
        raise TrainingFault(f"the chat template of the tokenizer does not take these messages: {error}") from None
    return list(found["input_ids"])
