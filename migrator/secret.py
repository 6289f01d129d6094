"""A value that never prints itself: passwords travel in it through logs, tracebacks and reprs unharmed."""

from __future__ import annotations

from typing import NoReturn


class Secret:
    """Holds a password or token; only :meth:`reveal` gives it out. Not picklable, not hashable, not comparable."""

    __slots__ = ("_value",)
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """Return the secret itself; call it only where it goes onto the wire."""
        return self._value

    def __repr__(self) -> str:
        return "Secret(***)"

    __str__ = __repr__

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Secret is not serialised")
