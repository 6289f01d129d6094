"""Many numbers in little memory: half a million messages have half a million of everything."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from typing import Final, overload

_WIDER: Final = {"B": "H", "H": "I", "I": "Q", "h": "i", "i": "q"}


class Column(Sequence[int]):
    """Numbers side by side, each as wide as the widest of them needs.

    ``kind`` is the type code of ``array`` it begins with: ``I`` and ``H`` for numbers from 0 on, ``i`` for all. Raises
    ``OverflowError`` for what does not fit into 64 bits.
    """

    __slots__ = ("packed",)

    def __init__(self, kind: str = "I", numbers: Sequence[int] = ()) -> None:
        self.packed: array[int] = array(kind)  # for loops that must be fast; another one after a number was added
        self.extend(numbers)

    def __len__(self) -> int:
        return len(self.packed)

    @overload
    def __getitem__(self, at: int) -> int: ...
    @overload
    def __getitem__(self, at: slice) -> array[int]: ...
    def __getitem__(self, at: int | slice) -> int | array[int]:
        return self.packed[at]

    def __setitem__(self, at: int, number: int) -> None:
        try:
            self.packed[at] = number
        except OverflowError:
            self._widen()
            self[at] = number

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Column) and self.packed == other.packed

    __hash__ = None  # type: ignore[assignment]  # numbers are added

    def __iter__(self) -> Iterator[int]:
        return iter(self.packed)

    def append(self, number: int) -> None:
        """Add one number."""
        try:
            self.packed.append(number)
        except OverflowError:
            self._widen()
            self.append(number)

    def extend(self, numbers: Sequence[int]) -> None:
        """Add many numbers."""
        try:
            self.packed.extend(array(self.packed.typecode, numbers))
        except OverflowError:
            self._widen()
            self.extend(numbers)

    def _widen(self) -> None:
        wider = _WIDER.get(self.packed.typecode)
        if wider is None:
            raise OverflowError("a number of more than 64 bits")
        self.packed = array(wider, self.packed)
