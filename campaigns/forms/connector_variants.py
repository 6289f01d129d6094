"""Which connectors somebody can set up: each kind with the options that its class reads, in the words of people.

A table. What the options mean is for the connector itself to say.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy

from migrator.entries import Json

# How an option is typed: a line, several, words of a shell, a number, a box to tick, a value of a column or several.
TEXT: Final = "text"
LINES: Final = "lines"
WORDS: Final = "words"
PORT: Final = "port"
SECONDS: Final = "seconds"
FLAG: Final = "flag"
SCALAR: Final = "scalar"
SCALARS: Final = "scalars"
SQL: Final = "sql"


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
    TEXT,
    gettext_lazy("File of certificate authorities"),
    gettext_lazy("Its full path on this machine. Empty: those of the system."),
)
_ANSWER: Final = Option("answer_seconds", SECONDS, gettext_lazy("Seconds to wait for an answer"), default=30)
_CONNECT: Final = Option("connect_seconds", SECONDS, gettext_lazy("Seconds to wait for a connection"), default=10)

_LDAP_LINE: Final = Part(
    gettext_lazy("Where it is"),
    (
        Option(
            "uris",
            LINES,
            gettext_lazy("Addresses"),
            gettext_lazy("One a line, the first that answers is taken: ldaps://ldap.example.org"),
            is_needed=True,
        ),
        Option("bind_dn", TEXT, gettext_lazy("Sign in as"), _example("cn=mailferry,dc=example,dc=org"), is_needed=True),
    ),
)
_LDAP_PEOPLE: Final = Part(
    gettext_lazy("How a person is found"),
    (
        Option("base", TEXT, gettext_lazy("Search below"), _example("ou=people,dc=example,dc=org"), is_needed=True),
        Option(
            "filter",
            TEXT,
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
            FLAG,
            gettext_lazy("Encrypt ldap:// addresses by StartTLS"),
            gettext_lazy("Without it the password crosses the network for all to read."),
            default=True,
        ),
        _CA,
        Option("address_attribute", TEXT, gettext_lazy("Attribute that holds the address"), default="mail"),
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
            TEXT,
            gettext_lazy("Database file"),
            gettext_lazy("Its full path on this machine; it is there already."),
            is_needed=True,
        ),
    ),
)
_POSTGRESQL_LINE: Final = Part(
    gettext_lazy("Where it is"),
    (
        Option("host", TEXT, gettext_lazy("Host"), is_needed=True),
        Option("port", PORT, gettext_lazy("Port"), default=5432),
        Option("database", TEXT, gettext_lazy("Database"), is_needed=True),
        Option("user", TEXT, gettext_lazy("Sign in as"), is_needed=True),
    ),
)
_POSTGRESQL_MORE: Final = (
    Option(
        "tls",
        TEXT,
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
        SQL,
        gettext_lazy("Statement that lists all addresses"),
        gettext_lazy("Optional, for lists: SELECT address FROM users"),
    ),
    _ANSWER,
)
_ADMITTING: Final = Option(
    "admitting_values",
    SCALARS,
    gettext_lazy("All values that admit"),
    gettext_lazy("One a line, if there are more than the one above."),
)
_ABSENT: Final = Option("absent_admits", FLAG, gettext_lazy("A person without a value is admitted"), default=True)
_LDAP_STATUS: Final = Part(
    gettext_lazy("What admits and refuses"),
    (
        Option(
            "status",
            TEXT,
            gettext_lazy("Attribute"),
            gettext_lazy("emailPersonStatus, mailUserStatus and inetUserStatus are known; they need no values below."),
            is_needed=True,
        ),
        Option("open_value", SCALAR, gettext_lazy("Value that admits")),
        Option(
            "closed_value",
            SCALAR,
            gettext_lazy("Value that refuses"),
            gettext_lazy("One with which mail for the person waits at its sender and is not returned."),
        ),
    ),
)


def _sql_status(example: str) -> Part:
    return Part(
        gettext_lazy("What admits and refuses"),
        (
            Option("status", TEXT, gettext_lazy("Column"), is_needed=True),
            Option("open_value", SCALAR, gettext_lazy("Value that admits"), is_needed=True),
            Option("closed_value", SCALAR, gettext_lazy("Value that refuses"), is_needed=True),
            Option(
                "find",
                SQL,
                gettext_lazy("Statement that finds a person"),
                _example("SELECT status FROM users WHERE address = :address"),
                is_needed=True,
            ),
            Option("replace", SQL, gettext_lazy("Statement that changes the value"), _example(example), is_needed=True),
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
        LINES,
        gettext_lazy("The old server is called there"),
        gettext_lazy("Its full name as it stands there; one a line, if it goes by several."),
        is_needed=True,
    ),
    Option(
        "target",
        LINES,
        gettext_lazy("The new server is called there"),
        gettext_lazy("The first of several is written."),
        is_needed=True,
    ),
)


def _sql_route(equals: str) -> Part:
    return Part(
        gettext_lazy("What says who serves a person"),
        (
            Option("column", TEXT, gettext_lazy("Column"), default="mailhost"),
            *_NAMES,
            Option(
                "find",
                SQL,
                gettext_lazy("Statement that finds a person"),
                _example("SELECT mailhost FROM users WHERE address = :address"),
                is_needed=True,
            ),
            Option(
                "replace",
                SQL,
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
_SECONDS_EACH: Final = Option("seconds", SECONDS, gettext_lazy("Seconds for each call"), default=30)

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
                (Option("attribute", TEXT, gettext_lazy("Attribute"), default="mailHost"), *_NAMES),
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
                        WORDS,
                        gettext_lazy("Command"),
                        gettext_lazy("What runs doveadm, for example: ssh mail.example.org doveadm"),
                        default=["doveadm"],
                    ),
                    Option(
                        "user",
                        TEXT,
                        gettext_lazy("Dovecot knows people by"),
                        default="address",
                        choices=(
                            ("address", gettext_lazy("their whole address")),
                            ("local", gettext_lazy("the part before the @")),
                        ),
                    ),
                    Option(
                        "our_addresses",
                        LINES,
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
                        WORDS,
                        gettext_lazy("Program that counts"),
                        gettext_lazy("With {address} in the place of the person's. It prints a number."),
                        is_needed=True,
                    ),
                    Option(
                        "end",
                        WORDS,
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
