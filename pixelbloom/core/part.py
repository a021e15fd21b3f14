"""Parts of an object that are built on first use, by one thread."""

from functools import cached_property
from typing import Any, Self, TypeVar, overload

T = TypeVar("T")


class part(cached_property[T]):
    """A cached property that is safe to share between threads. Its class has a reentrant `lock`."""

    @overload
    def __get__(self, instance: None, owner: type[Any] | None = None) -> Self: ...
    @overload
    def __get__(self, instance: object, owner: type[Any] | None = None) -> T: ...
    def __get__(self, instance: Any, owner: type[Any] | None = None) -> Any:
        if instance is None:
            return self
        with instance.lock:
            return super().__get__(instance, owner)
