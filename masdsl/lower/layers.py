"""What is known by name, in layers: a block adds to its own layer, so that a branch costs what it changes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TypeVar, overload

T = TypeVar("T")
D = TypeVar("D")


class Layers(Mapping[str, T]):
    """A mapping on top of another one. `own` is what has been set in this layer."""

    __slots__ = ("_outer", "own")

    def __init__(self, outer: Layers[T] | None = None, own: dict[str, T] | None = None) -> None:
        self._outer = outer
        self.own: dict[str, T] = {} if own is None else own

    def layer(self, own: dict[str, T] | None = None) -> Layers[T]:
        """Return a new layer on top of this one."""
        return Layers(self, own)

    def since(self, outer: Layers[T]) -> Iterator[str]:
        """Yield what has been set in the layers above another one, that this one stands on."""
        layer: Layers[T] | None = self
        while layer is not None and layer is not outer:
            yield from layer.own
            layer = layer._outer

    def __setitem__(self, name: str, value: T) -> None:
        self.own[name] = value

    def __getitem__(self, name: str) -> T:
        layer: Layers[T] | None = self
        while layer is not None:
            if name in layer.own:
                return layer.own[name]
            layer = layer._outer
        raise KeyError(name)

    @overload
    def get(self, name: str, /) -> T | None: ...
    @overload
    def get(self, name: str, /, default: D) -> T | D: ...
    def get(self, name: str, /, default: object = None) -> object:
        """Return what is known by the name, or the default."""
        layer: Layers[T] | None = self
        while layer is not None:
            if name in layer.own:
                return layer.own[name]
            layer = layer._outer
        return default

    def __contains__(self, name: object) -> bool:
        layer: Layers[T] | None = self
        while layer is not None:
            if name in layer.own:
                return True
            layer = layer._outer
        return False

    def __iter__(self) -> Iterator[str]:
        below = iter(self._outer) if self._outer is not None else iter(())
        return iter(dict.fromkeys((*below, *self.own)))

    def __len__(self) -> int:
        return sum(1 for _ in self)
