"""Which connectors somebody can set up: each kind with the options that its class reads, in the words of people.

A table. What the options mean is for the connector itself to say.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from django.utils.translation import gettext_lazy

from campaigns.forms import variants_accounts, variants_front, variants_ldap, variants_mta
from campaigns.forms.variant import PROGRAM, SCALAR, STATEMENT, TEXT, Option, Part, Variant
from campaigns.forms.variant_parts import (
    ABSENT,
    ADMITTING,
    DIRECTORY,
    KNOWN_BY,
    LDAP_LINE,
    LDAP_MORE,
    LDAP_PEOPLE,
    NAMES,
    OUR_ADDRESSES,
    POSTGRESQL_LINE,
    POSTGRESQL_MORE,
    READING,
    ROUTE,
    SECONDS_EACH,
    SQL_MORE,
    SQLITE_LINE,
    more,
    replacing,
    sql_route,
    statement,
)
from migrator.entries import Json

_LDAP_STATUS: Final = Part(
    gettext_lazy("What admits and refuses"),
    (
        Option(
            "status",
            TEXT,
            gettext_lazy("Attribute"),
            gettext_lazy(
                "Empty: the one that is usual there, if there is one. emailPersonStatus, mailUserStatus and "
                "inetUserStatus need no values below."
            ),
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
                STATEMENT,
                gettext_lazy("Statement that finds a person"),
                statement("SELECT status FROM users WHERE address = :address"),
                is_needed=True,
            ),
            Option(
                "replace",
                STATEMENT,
                gettext_lazy("Statement that changes the value"),
                statement(example),
                is_needed=True,
            ),
        ),
    )


VARIANTS: Final = (
    Variant(
        "directory-ldap",
        "directory",
        "ldap",
        gettext_lazy("Directory in LDAP"),
        DIRECTORY,
        (LDAP_LINE, LDAP_PEOPLE, _LDAP_STATUS, more(ADMITTING, READING, ABSENT, *LDAP_MORE.options)),
    ),
    Variant(
        "directory-postgresql",
        "directory",
        "sql",
        gettext_lazy("Directory in PostgreSQL"),
        DIRECTORY,
        (
            POSTGRESQL_LINE,
            _sql_status(replacing("status", "IS NOT DISTINCT FROM")),
            more(ADMITTING, READING, ABSENT, *POSTGRESQL_MORE, *SQL_MORE),
        ),
        fixed={"driver": "postgresql"},
        has_typed_values=True,
    ),
    Variant(
        "directory-sqlite",
        "directory",
        "sql",
        gettext_lazy("Directory in SQLite"),
        DIRECTORY,
        (SQLITE_LINE, _sql_status(replacing("status", "IS")), more(ADMITTING, READING, ABSENT, *SQL_MORE)),
        fixed={"driver": "sqlite"},
        has_secret=False,
        has_typed_values=True,
    ),
    Variant(
        "route-ldap",
        "route",
        "ldap",
        gettext_lazy("Route in LDAP"),
        ROUTE,
        (
            LDAP_LINE,
            LDAP_PEOPLE,
            Part(
                gettext_lazy("What says who serves a person"),
                (Option("attribute", TEXT, gettext_lazy("Attribute"), default="mailHost"), *NAMES),
            ),
            LDAP_MORE,
        ),
    ),
    Variant(
        "route-postgresql",
        "route",
        "sql",
        gettext_lazy("Route in PostgreSQL"),
        ROUTE,
        (POSTGRESQL_LINE, sql_route("IS NOT DISTINCT FROM"), more(*POSTGRESQL_MORE, *SQL_MORE)),
        fixed={"driver": "postgresql"},
    ),
    Variant(
        "route-sqlite",
        "route",
        "sql",
        gettext_lazy("Route in SQLite"),
        ROUTE,
        (SQLITE_LINE, sql_route("IS"), more(*SQL_MORE)),
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
                        PROGRAM,
                        gettext_lazy("Program that runs doveadm"),
                        gettext_lazy("A program of yours, where Dovecot is on another machine."),
                        unchosen=gettext_lazy("doveadm of this machine"),
                    ),
                    replace(KNOWN_BY, label=gettext_lazy("Dovecot knows people by"), default="address"),
                    OUR_ADDRESSES,
                ),
            ),
            more(SECONDS_EACH),
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
                        PROGRAM,
                        gettext_lazy("Program that counts"),
                        gettext_lazy("It is called with the person's address, and prints a number."),
                        is_needed=True,
                    ),
                    Option(
                        "end",
                        PROGRAM,
                        gettext_lazy("Program that ends them"),
                        gettext_lazy(
                            "It is called with the person's address, and exits with 0 when all were told to end."
                        ),
                        is_needed=True,
                    ),
                ),
            ),
            more(SECONDS_EACH),
        ),
        has_secret=False,
    ),
    *variants_accounts.VARIANTS,
    *variants_front.VARIANTS,
    *variants_ldap.VARIANTS,
    *variants_mta.VARIANTS,
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
