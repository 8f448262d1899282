"""Models that are Python objects of the host's own: what an entry of kind `python` stands for.

    [models.mine]
    kind = "python"
    factory = "package.module:function"
    options = { skill = 0.8 }
    path = "weights"               # if the factory takes one: relative to the configuration's folder
    input_price = 0
    output_price = 0

The function is called as `function(name="mine", path="/absolute/weights", skill=0.8)` and gives a `ChatModel`. It is
found as the Python functions of `[tools]` are. The name, the price, the context and whether the model calls tools by a
protocol of its own are the entry's, whatever the object says: by these the bounds of a program were computed. All runs
of a process share one object.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from masdsl.config import ModelConfig
from masdsl.runtime.models.around import ModelAround
from masdsl.runtime.models.base import ChatModel, ModelError, Price
from masdsl.runtime.text import brief


class PythonModel(ModelAround):
    """An object of the host's under the terms of its entry."""

    def __init__(self, model: ChatModel, entry: ModelConfig, price: Price | None) -> None:
        super().__init__(model)
        self._entry = entry
        self._price = price

    @property
    def name(self) -> str:
        """The model's name as the configuration has it."""
        return self._entry.name

    @property
    def price(self) -> Price | None:
        """What the configuration says."""
        return self._price

    @property
    def context(self) -> int | None:
        """What the configuration says, else what the object does."""
        return super().context if self._entry.context is None else self._entry.context

    @property
    def tool_calls(self) -> bool:
        """What the configuration says."""
        return self._entry.has_tool_calls


def made_by_factory(entry: ModelConfig, price: Price | None) -> ChatModel:
    """Return the model that the factory of an entry gives.

    Raises ModelError (`unavailable`) where there is no such function, where it fails, and where it gives no model.
    """
    from masdsl.tools.base import ToolUnusable
    from masdsl.tools.python_functions import import_function

    arguments = {**entry.options, **({} if entry.path is None else {"path": entry.path})}
    try:
        factory: Callable[..., Any] = import_function(entry.factory, entry.folder)
        made = factory(name=entry.name, **arguments)
    except ToolUnusable as fault:
        raise _unusable(entry, f"{fault}; mend `factory`, or install what it needs") from None
    except Exception as fault:  # a factory may raise anything
        said = (
            f"`{entry.factory}` fails: {type(fault).__name__}: {brief(str(fault), 300)}; mend it, or what `options` has"
        )
        raise _unusable(entry, said) from fault
    lacks = _lacks(made)
    if lacks:
        advice = "it must give a model, with `name`, `price`, `async complete(request)` and `async close()`"
        raise _unusable(entry, f"`{entry.factory}` gives a {type(made).__name__} without {lacks}; {advice}")
    return PythonModel(made, entry, price)


def _lacks(made: object) -> str:
    """Return what an object has not that a `ChatModel` has; nothing for one that is one."""
    for name in ("name", "price"):
        if not hasattr(made, name):
            return f"`{name}`"
    for name in ("complete", "close"):
        if not inspect.iscoroutinefunction(getattr(made, name, None)):
            return f"`async {name}`"
    return ""


def _unusable(entry: ModelConfig, why: str) -> ModelError:
    return ModelError("unavailable", f"the model `{entry.name}`: {why}")
