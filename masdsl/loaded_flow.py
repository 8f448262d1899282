"""A flow of a loaded program, as a function of its inputs."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from masdsl.loaded import LoadedProgram
    from masdsl.runtime import Result

OPTIONS = (
    "journal",
    "resume",
    "rectifier",
    "policy",
    "run_id",
    "on_event",
    "on_intervention",
    "budget",
    "seed",
    "should_stop",
)
"""What a flow takes besides its inputs, where it has no input of that name."""


class LoadedFlow:
    """A flow of a loaded program, as a function of its inputs.

    Call it with the inputs by position or by name and await the value, which has the declared type (a record is an
    object with its fields as attributes, a word of an enum compares equal to its text). `sync` does the same from code
    that is not asynchronous; `run` and `run_sync` return a `Result`, which also says what it cost. `inspect.signature`
    shows the inputs.

    Every form raises `masdsl.runtime.InputError` for wrong inputs, before anything is called, and
    `masdsl.runtime.RunFailed` (`BudgetExceeded` for lack of budget) for a run without a value.
    """

    def __init__(self, program: LoadedProgram, name: str, key: str, function: Callable[..., Any]) -> None:
        from inspect import signature

        self._program = program
        self._key = key
        self.__name__ = name
        self.__doc__ = function.__doc__ or f"The flow `{name}`."
        declared = signature(function)
        inputs = list(declared.parameters.values())[1:]  # the first one is the frame
        self.__signature__ = declared.replace(parameters=inputs)
        self.__annotations__ = {**{one.name: one.annotation for one in inputs}, "return": declared.return_annotation}

    def __repr__(self) -> str:
        return f"<flow {self.__name__}{self.__signature__}>"

    async def __call__(self, *args: Any, **inputs: Any) -> Any:
        """Run the flow and return its value."""
        return (await self.run(*args, **inputs)).value

    def sync(self, *args: Any, **inputs: Any) -> Any:
        """Run the flow and return its value, from code that is not asynchronous."""
        return self.run_sync(*args, **inputs).value

    async def run(self, *args: Any, **inputs: Any) -> Result:
        """Run the flow and return its value together with what it took.

        Besides inputs it takes the options `journal`, `resume`, `rectifier`, `policy`, `on_event`, `on_intervention`,
        `budget` and `seed` of `LoadedProgram.start`, by name, where the flow has no input of that name.
        """
        own = self.__signature__.parameters
        options = {name: inputs.pop(name) for name in OPTIONS if name in inputs and name not in own}
        return await self._program.start(self._key, self._bound(args, inputs), **options)

    def run_sync(self, *args: Any, **inputs: Any) -> Result:
        """Do what `run` does, from code that is not asynchronous."""
        from masdsl.runtime.program import run_coroutine

        return run_coroutine(lambda: self.run(*args, **inputs))

    def _bound(self, args: tuple[Any, ...], inputs: dict[str, Any]) -> dict[str, Any]:
        from masdsl.runtime import InputError

        names = list(self.__signature__.parameters)
        if len(args) > len(names):
            raise InputError(f"flow `{self.__name__}` takes {len(names)} inputs, not {len(args)}")
        by_position = dict(zip(names, args, strict=False))
        twice = [name for name in inputs if name in by_position]
        if twice:
            raise InputError(f"flow `{self.__name__}` got the input `{twice[0]}` twice")
        return {**by_position, **inputs}
