"""What a connector's options say: a JSON object read name by name, refused with a sentence for what cannot be meant.

Options are written once, by an administrator, and used at night. So a name that nothing reads is an error, and not
left aside: it is a misspelt one, whose default would be used in its stead.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Final

from migrator.entries import Json

_LABEL: Final = re.compile(r"(?!-)[a-z0-9-]{1,63}(?<!-)", re.IGNORECASE)


class Options:
    """Reads each option once; every refusal is a ``ValueError`` with a sentence. Call :meth:`end` when all are read."""

    def __init__(self, given: Mapping[str, Json]) -> None:
        self._given = dict(given)

    def text(self, name: str, default: str | None = None) -> str:
        """Return a text that is not empty, unless an empty one is the default."""
        value = self._take(name, default)
        if not isinstance(value, str) or (not value.strip() and value != default):
            raise ValueError(f"The option {name} must be a text that is not empty.")
        value = value.replace("\r\n", "\n")  # what browsers make of a line end
        if any(not character.isprintable() and character not in "\n\t" for character in value):
            raise ValueError(f"The option {name} holds a control character.")
        return value

    def texts(self, name: str, default: Sequence[str] | None = None) -> tuple[str, ...]:
        """Return one or more texts; a single one needs no list around it."""
        value = self._take(name, None if default is None else list(default))
        values = [value] if isinstance(value, str) else value
        if not isinstance(values, list) or (not values and not isinstance(default, Sequence)):
            raise ValueError(f"The option {name} must be a text or a list of texts.")
        if not all(isinstance(one, str) and one.strip() and "\0" not in one for one in values):
            raise ValueError(f"The option {name} holds something else than texts.")
        return tuple(map(str, values))

    def seconds(self, name: str, default: float) -> float:
        """Return a time above zero and below an hour."""
        value = self._take(name, default)
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 3600:
            raise ValueError(f"The option {name} must be a number of seconds above 0 and below 3,600.")
        return float(value)

    def port(self, name: str, default: int) -> int:
        """Return the number of a TCP port."""
        value = self._take(name, default)
        if isinstance(value, bool) or not isinstance(value, int) or not 0 < value < 65536:
            raise ValueError(f"The option {name} must be the number of a port.")
        return value

    def flag(self, name: str, default: bool) -> bool:
        """Return true or false."""
        value = self._take(name, default)
        if not isinstance(value, bool):
            raise ValueError(f"The option {name} must be true or false.")
        return value

    def choice(self, name: str, choices: Collection[str], default: str | None = None) -> str:
        """Return one of ``choices``."""
        value = self.text(name, default)
        if value not in choices:
            raise ValueError(f"The option {name} must be one of {', '.join(choices)}.")
        return value

    def scalar(self, name: str, default: Json = None) -> Json:
        """Return a text, number, true or false; ``default`` where it is not given."""
        value = self._take(name, default)
        if isinstance(value, list | dict):
            raise ValueError(f"The option {name} must be one value and no list.")
        return value

    def scalars(self, name: str, default: Sequence[Json]) -> tuple[Json, ...]:
        """Return values; a single one needs no list around it."""
        value = self._take(name, list(default))
        values = value if isinstance(value, list) else [value]
        if any(isinstance(one, list | dict) for one in values):
            raise ValueError(f"The option {name} must be a list of single values.")
        return tuple(values)

    def has(self, name: str) -> bool:
        """Tell whether the option is given and not read yet."""
        return self._given.get(name) is not None

    def end(self) -> None:
        """Refuse what is left: names that nothing reads."""
        if self._given:
            raise ValueError(f"There is no option of the name {', '.join(sorted(self._given))}.")

    def _take(self, name: str, default: Json) -> Json:
        value = self._given.pop(name, None)
        return default if value is None else value


def checked_host(name: str) -> str:
    """Return ``name`` if it is the fully qualified name of a server. Raises ``ValueError`` with a sentence.

    Proxies and routers that read such names know nothing of our domain (RFC 1123 §2.1).
    """
    labels = name.removesuffix(".").split(".")
    is_number = labels[-1].isdigit()  # an address, or a name nobody can have (RFC 3696 §2)
    if len(name) > 253 or len(labels) < 2 or is_number or not all(map(_LABEL.fullmatch, labels)):
        raise ValueError(f"{name} is not the fully qualified name of a server, such as imap.example.org.")
    return name
