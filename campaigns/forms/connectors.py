"""Connectors by kind: each has the options that its class reads, in the words of people. One table, one form.

What the options mean is for the connector itself to say; here they only become a JSON object and back.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from django import forms
from django.utils.text import format_lazy
from django.utils.translation import gettext, gettext_lazy

from campaigns.forms.base import PageForm, style_field
from campaigns.forms.servers import secret_field
from migrator.entries import Json

_TEXT, _LINES, _WORDS, _PORT, _SECONDS, _FLAG, _SCALAR, _SCALARS, _SQL = (
    "text",
    "lines",
    "words",
    "port",
    "seconds",
    "flag",
    "scalar",
    "scalars",
    "sql",
)


@dataclass(frozen=True, slots=True)
class Option:
    """One option: how it is called, asked for and read. ``default`` is the connector's own, for the form to show."""

    name: str
    shape: str
    label: Any
    help_text: Any = ""
    is_needed: bool = False
    default: Json = None
    choices: tuple[tuple[str, Any], ...] = ()


@dataclass(frozen=True, slots=True)
class Part:
    """Options that belong together, under a heading. ``is_more``: folded away, for few."""

    heading: Any
    options: tuple[Option, ...]
    is_more: bool = False


@dataclass(frozen=True, slots=True)
class Variant:
    """What somebody can choose to set up: a kind, with the options that are fixed by the choice."""

    key: str
    room: str
    kind: str
    label: Any
    explained: Any
    parts: tuple[Part, ...]
    fixed: Mapping[str, Json] = field(default_factory=dict)
    has_secret: bool = True
    has_typed_values: bool = False  # whether values may be numbers, or true and false

    def options(self) -> list[Option]:
        """Return all options that the form asks for."""
        return [option for part in self.parts for option in part.options]


def _example(text: str) -> Any:
    return format_lazy("{} {}", gettext_lazy("For example:"), text)


_CA: Final = Option(
    "ca_file",
    _TEXT,
    gettext_lazy("File of certificate authorities"),
    gettext_lazy("Its full path on this machine. Empty: those of the system."),
)
_ANSWER: Final = Option("answer_seconds", _SECONDS, gettext_lazy("Seconds to wait for an answer"), default=30)
_CONNECT: Final = Option("connect_seconds", _SECONDS, gettext_lazy("Seconds to wait for a connection"), default=10)

_LDAP_LINE: Final = Part(
    gettext_lazy("Where it is"),
    (
        Option(
            "uris",
            _LINES,
            gettext_lazy("Addresses"),
            gettext_lazy("One a line, the first that answers is taken: ldaps://ldap.example.org"),
            is_needed=True,
        ),
        Option(
            "bind_dn", _TEXT, gettext_lazy("Sign in as"), _example("cn=mailferry,dc=example,dc=org"), is_needed=True
        ),
    ),
)
_LDAP_PEOPLE: Final = Part(
    gettext_lazy("How a person is found"),
    (
        Option("base", _TEXT, gettext_lazy("Search below"), _example("ou=people,dc=example,dc=org"), is_needed=True),
        Option(
            "filter",
            _TEXT,
            gettext_lazy("Filter"),
            gettext_lazy("With {address}, {local} or {domain} in the place of the person's."),
            default="(mail={address})",
        ),
    ),
)
_LDAP_MORE: Final = Part(
    gettext_lazy("More"),
    (
        Option(
            "starttls",
            _FLAG,
            gettext_lazy("Encrypt ldap:// addresses by StartTLS"),
            gettext_lazy("Without it the password crosses the network for all to read."),
            default=True,
        ),
        _CA,
        Option("address_attribute", _TEXT, gettext_lazy("Attribute that holds the address"), default="mail"),
        _CONNECT,
        _ANSWER,
    ),
    is_more=True,
)
_SQLITE_LINE: Final = Part(
    gettext_lazy("Where it is"),
    (
        Option(
            "path",
            _TEXT,
            gettext_lazy("Database file"),
            gettext_lazy("Its full path on this machine; it is there already."),
            is_needed=True,
        ),
    ),
)
_POSTGRESQL_LINE: Final = Part(
    gettext_lazy("Where it is"),
    (
        Option("host", _TEXT, gettext_lazy("Host"), is_needed=True),
        Option("port", _PORT, gettext_lazy("Port"), default=5432),
        Option("database", _TEXT, gettext_lazy("Database"), is_needed=True),
        Option("user", _TEXT, gettext_lazy("Sign in as"), is_needed=True),
    ),
)
_POSTGRESQL_MORE: Final = (
    Option(
        "tls",
        _TEXT,
        gettext_lazy("Encryption"),
        default="verify-full",
        choices=(
            ("verify-full", gettext_lazy("Yes, and the certificate must fit the host")),
            ("verify-ca", gettext_lazy("Yes, with a certificate of a known authority")),
            ("require", gettext_lazy("Yes, with any certificate")),
            ("disable", gettext_lazy("None")),
        ),
    ),
    _CA,
    _CONNECT,
)
_SQL_MORE: Final = (
    Option(
        "list",
        _SQL,
        gettext_lazy("Statement that lists all addresses"),
        gettext_lazy("Optional, for lists: SELECT address FROM users"),
    ),
    _ANSWER,
)
_ADMITTING: Final = Option(
    "admitting_values",
    _SCALARS,
    gettext_lazy("All values that admit"),
    gettext_lazy("One a line, if there are more than the one above."),
)
_ABSENT: Final = Option("absent_admits", _FLAG, gettext_lazy("A person without a value is admitted"), default=True)
_LDAP_STATUS: Final = Part(
    gettext_lazy("What admits and refuses"),
    (
        Option(
            "status",
            _TEXT,
            gettext_lazy("Attribute"),
            gettext_lazy("emailPersonStatus, mailUserStatus and inetUserStatus are known; they need no values below."),
            is_needed=True,
        ),
        Option("open_value", _SCALAR, gettext_lazy("Value that admits")),
        Option(
            "closed_value",
            _SCALAR,
            gettext_lazy("Value that refuses"),
            gettext_lazy("One with which mail for the person waits at its sender and is not returned."),
        ),
    ),
)


def _sql_status(example: str) -> Part:
    return Part(
        gettext_lazy("What admits and refuses"),
        (
            Option("status", _TEXT, gettext_lazy("Column"), is_needed=True),
            Option("open_value", _SCALAR, gettext_lazy("Value that admits"), is_needed=True),
            Option("closed_value", _SCALAR, gettext_lazy("Value that refuses"), is_needed=True),
            Option(
                "find",
                _SQL,
                gettext_lazy("Statement that finds a person"),
                _example("SELECT status FROM users WHERE address = :address"),
                is_needed=True,
            ),
            Option(
                "replace", _SQL, gettext_lazy("Statement that changes the value"), _example(example), is_needed=True
            ),
        ),
    )


def _replacing(column: str, equals: str) -> str:
    return (
        f"UPDATE users SET {column} = :wanted_{column} WHERE address = :address "
        f"AND {column} {equals} :expected_{column}"
    )


_NAMES: Final = (
    Option(
        "source",
        _LINES,
        gettext_lazy("The old server is called there"),
        gettext_lazy("Its full name as it stands there; one a line, if it goes by several."),
        is_needed=True,
    ),
    Option(
        "target",
        _LINES,
        gettext_lazy("The new server is called there"),
        gettext_lazy("The first of several is written."),
        is_needed=True,
    ),
)


def _sql_route(equals: str) -> Part:
    return Part(
        gettext_lazy("What says who serves a person"),
        (
            Option("column", _TEXT, gettext_lazy("Column"), default="mailhost"),
            *_NAMES,
            Option(
                "find",
                _SQL,
                gettext_lazy("Statement that finds a person"),
                _example("SELECT mailhost FROM users WHERE address = :address"),
                is_needed=True,
            ),
            Option(
                "replace",
                _SQL,
                gettext_lazy("Statement that changes the value"),
                _example(_replacing("mailhost", equals)),
                is_needed=True,
            ),
        ),
    )


def _more(*options: Option) -> Part:
    return Part(gettext_lazy("More"), options, is_more=True)


_DIRECTORY: Final = gettext_lazy("Says who may sign in. A person is locked out there while the last mail is copied.")
_ROUTE: Final = gettext_lazy("Says which of the two servers serves a person. The switch is made there.")
_SECONDS_EACH: Final = Option("seconds", _SECONDS, gettext_lazy("Seconds for each call"), default=30)

VARIANTS: Final = (
    Variant(
        "directory-ldap",
        "directory",
        "ldap",
        gettext_lazy("Directory in LDAP"),
        _DIRECTORY,
        (_LDAP_LINE, _LDAP_PEOPLE, _LDAP_STATUS, _more(_ADMITTING, _ABSENT, *_LDAP_MORE.options)),
    ),
    Variant(
        "directory-postgresql",
        "directory",
        "sql",
        gettext_lazy("Directory in PostgreSQL"),
        _DIRECTORY,
        (
            _POSTGRESQL_LINE,
            _sql_status(_replacing("status", "IS NOT DISTINCT FROM")),
            _more(_ADMITTING, _ABSENT, *_POSTGRESQL_MORE, *_SQL_MORE),
        ),
        fixed={"driver": "postgresql"},
        has_typed_values=True,
    ),
    Variant(
        "directory-sqlite",
        "directory",
        "sql",
        gettext_lazy("Directory in SQLite"),
        _DIRECTORY,
        (_SQLITE_LINE, _sql_status(_replacing("status", "IS")), _more(_ADMITTING, _ABSENT, *_SQL_MORE)),
        fixed={"driver": "sqlite"},
        has_secret=False,
        has_typed_values=True,
    ),
    Variant(
        "route-ldap",
        "route",
        "ldap",
        gettext_lazy("Route in LDAP"),
        _ROUTE,
        (
            _LDAP_LINE,
            _LDAP_PEOPLE,
            Part(
                gettext_lazy("What says who serves a person"),
                (Option("attribute", _TEXT, gettext_lazy("Attribute"), default="mailHost"), *_NAMES),
            ),
            _LDAP_MORE,
        ),
    ),
    Variant(
        "route-postgresql",
        "route",
        "sql",
        gettext_lazy("Route in PostgreSQL"),
        _ROUTE,
        (_POSTGRESQL_LINE, _sql_route("IS NOT DISTINCT FROM"), _more(*_POSTGRESQL_MORE, *_SQL_MORE)),
        fixed={"driver": "postgresql"},
    ),
    Variant(
        "route-sqlite",
        "route",
        "sql",
        gettext_lazy("Route in SQLite"),
        _ROUTE,
        (_SQLITE_LINE, _sql_route("IS"), _more(*_SQL_MORE)),
        fixed={"driver": "sqlite"},
        has_secret=False,
    ),
    Variant(
        "sessions-dovecot",
        "sessions",
        "dovecot",
        gettext_lazy("Sessions on a Dovecot"),
        gettext_lazy("Ends open mail programs on the old server by doveadm, so that nobody works on while locked out."),
        (
            Part(
                gettext_lazy("How it is asked"),
                (
                    Option(
                        "doveadm",
                        _WORDS,
                        gettext_lazy("Command"),
                        gettext_lazy("What runs doveadm, for example: ssh mail.example.org doveadm"),
                        default=["doveadm"],
                    ),
                    Option(
                        "user",
                        _TEXT,
                        gettext_lazy("Dovecot knows people by"),
                        default="address",
                        choices=(
                            ("address", gettext_lazy("their whole address")),
                            ("local", gettext_lazy("the part before the @")),
                        ),
                    ),
                    Option(
                        "our_addresses",
                        _LINES,
                        gettext_lazy("Numbers from which Mailferry reads mailboxes"),
                        gettext_lazy("One a line. Sessions from there are neither counted nor ended."),
                    ),
                ),
            ),
            _more(_SECONDS_EACH),
        ),
        has_secret=False,
    ),
    Variant(
        "sessions-command",
        "sessions",
        "command",
        gettext_lazy("Sessions by your own programs"),
        gettext_lazy("Two programs of yours: one counts the open sessions of a person, the other ends them."),
        (
            Part(
                gettext_lazy("How it is asked"),
                (
                    Option(
                        "count",
                        _WORDS,
                        gettext_lazy("Program that counts"),
                        gettext_lazy("With {address} in the place of the person's. It prints a number."),
                        is_needed=True,
                    ),
                    Option(
                        "end",
                        _WORDS,
                        gettext_lazy("Program that ends them"),
                        gettext_lazy("With {address}. It exits with 0 when all were told to end."),
                        is_needed=True,
                    ),
                ),
            ),
            _more(_SECONDS_EACH),
        ),
        has_secret=False,
    ),
)

_TYPES: Final = (
    ("text", gettext_lazy("Texts")),
    ("number", gettext_lazy("Whole numbers")),
    ("flag", gettext_lazy("True and false")),
)


def variant(key: str) -> Variant | None:
    """Return the variant of that key."""
    return next((one for one in VARIANTS if one.key == key), None)


def variant_of(room: str, kind: str, options: Mapping[str, Json]) -> Variant | None:
    """Return the variant of a stored connector; None for one that pages do not know."""
    for one in VARIANTS:
        if (one.room, one.kind) == (room, kind) and all(
            options.get(name) == value for name, value in one.fixed.items()
        ):
            return one
    return None


class ConnectorForm(PageForm):
    """A connector of one variant. ``connector_options`` is what is stored, once the form is valid."""

    def __init__(self, chosen: Variant, *args: Any, has_secret: bool = False, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.variant = chosen
        self.fields = _fields(chosen, has_secret)
        for one in self.fields.values():
            style_field(one)

    @property
    def connector_options(self) -> dict[str, Json]:
        """Return the options as a JSON object. What is left at its default is left out."""
        found: dict[str, Json] = dict(self.variant.fixed)
        for option in self.variant.options():
            value = self.cleaned_data[option.name]
            if value not in (None, "", []) and value != option.default:
                found[option.name] = value
        return found

    def clean(self) -> dict[str, Any]:
        """Turn what was typed into the values that options have."""
        cleaned = super().clean() or self.cleaned_data
        for option in self.variant.options():
            if option.name in cleaned:
                try:
                    cleaned[option.name] = _read(option, cleaned[option.name], cleaned.get("value_type", "text"))
                except ValueError as error:
                    self.add_error(option.name, str(error))
        return cleaned

    def parts(self) -> list[tuple[Part, list[forms.BoundField]]]:
        """Return the fields by part, for the page."""
        return [(part, [self[name] for name in self._names(part)]) for part in self.variant.parts]

    def _names(self, part: Part) -> list[str]:
        names = [option.name for option in part.options]
        if self.variant.has_typed_values and "open_value" in names:
            names.insert(names.index("open_value"), "value_type")
        return names


def initial(chosen: Variant, name: str, options: Mapping[str, Json]) -> dict[str, Any]:
    """Return what the form shows of a stored connector."""
    found: dict[str, Any] = {"name": name, "value_type": _type_of(options.get("open_value"))}
    for option in chosen.options():
        found[option.name] = _typed(option, options.get(option.name, option.default))
    return found


def _fields(chosen: Variant, has_secret: bool) -> dict[str, forms.Field]:
    fields: dict[str, forms.Field] = {
        "name": forms.CharField(
            label=gettext_lazy("Name"), max_length=100, help_text=gettext_lazy("As your people call it.")
        )
    }
    if chosen.has_typed_values:
        fields["value_type"] = forms.ChoiceField(label=gettext_lazy("Its values are"), choices=_TYPES)
    for option in chosen.options():
        fields[option.name] = _field(option)
    if chosen.has_secret:
        told = gettext_lazy("Stored encrypted and never shown again.")
        kept = gettext_lazy("One is stored. Left empty, it stays; it is never shown.")
        fields["secret"] = secret_field(gettext_lazy("Password"), kept if has_secret else told)
    return fields


def _field(option: Option) -> forms.Field:
    told = {"label": option.label, "help_text": option.help_text, "required": option.is_needed}
    shown = {"initial": _typed(option, option.default)} if option.default is not None else {}
    plain = {"autocomplete": "off", "spellcheck": "false"}
    if option.choices:
        return forms.ChoiceField(choices=option.choices, **told, **shown)
    if option.shape == _FLAG:
        return forms.BooleanField(**{**told, "required": False}, **shown)
    if option.shape == _PORT:
        return forms.IntegerField(min_value=1, max_value=65535, **told, **shown)
    if option.shape == _SECONDS:
        return forms.FloatField(min_value=0.1, max_value=3599, **told, **shown)
    if option.shape in (_LINES, _SCALARS, _SQL):
        attrs = {**plain, "rows": 2 if option.shape != _SQL else 3, "class": "form-control mf-mono"}
        return forms.CharField(widget=forms.Textarea(attrs=attrs), **told, **shown)
    return forms.CharField(widget=forms.TextInput(attrs=plain), max_length=1000, **told, **shown)


def _read(option: Option, given: Any, value_type: str) -> Json:
    if option.shape in (_LINES, _SCALARS):
        lines = [line.strip() for line in str(given).splitlines() if line.strip()]
        return [_scalar(line, value_type) for line in lines] if option.shape == _SCALARS else list(lines)
    if option.shape == _WORDS:
        try:
            return list(shlex.split(given))
        except ValueError:
            raise ValueError(gettext("A quotation mark is not closed.")) from None
    if option.shape == _SCALAR:
        return _scalar(given, value_type) if given else None
    if option.shape == _SQL:
        return str(given).replace("\r\n", "\n").strip()
    if option.shape == _SECONDS and isinstance(given, float) and given.is_integer():
        return int(given)
    read: Json = given
    return read


def _scalar(text: str, value_type: str) -> Json:
    if value_type == "number":
        if not text.lstrip("-").isdecimal():
            raise ValueError(gettext("This is no whole number."))
        return int(text)
    if value_type == "flag":
        if text.casefold() not in ("true", "false"):
            raise ValueError(gettext("Enter true or false."))
        return text.casefold() == "true"
    return text


def _type_of(value: Json) -> str:
    if isinstance(value, bool):
        return "flag"
    return "number" if isinstance(value, int) else "text"


def _typed(option: Option, value: Json) -> Any:
    """Return a value as it stands in its field."""
    if option.shape == _WORDS:
        return shlex.join(map(str, value)) if isinstance(value, list) else value
    if option.shape in (_LINES, _SCALARS):
        return "\n".join(map(_text, value)) if isinstance(value, list) else _text(value)
    return _text(value) if option.shape == _SCALAR else value


def _text(value: Json) -> str:
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)
