"""Routes and sessions of front servers, which are the one address that people's programs know, in words of the form."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from django.utils.translation import gettext_lazy

from campaigns.bridge import host_files
from campaigns.forms.variant import LINES, PROGRAM, TEXT, Option, Part, Variant
from campaigns.forms.variant_parts import (
    NAMES,
    POSTGRESQL_LINE,
    POSTGRESQL_MORE,
    ROUTE,
    SECONDS_EACH,
    SQL_MORE,
    SQLITE_LINE,
    more,
    sql_route,
)
from migrator.entries import Json

_DOVEADM: Final = Option(
    "doveadm",
    PROGRAM,
    gettext_lazy("Program that runs doveadm"),
    gettext_lazy("A program of yours, where the proxy is on another machine."),
    unchosen=gettext_lazy("doveadm of this machine"),
)
_KNOWN_BY: Final = Option(
    "known_by",
    TEXT,
    gettext_lazy("The proxy knows people by"),
    default="address",
    choices=(("address", gettext_lazy("their whole address")), ("local", gettext_lazy("the part before the @"))),
)
_PROXY: Final = Part(gettext_lazy("How the proxy is told"), (_DOVEADM, _KNOWN_BY))
_DOOR: Final = Option(
    "uri",
    TEXT,
    gettext_lazy("Address that people's programs know"),
    gettext_lazy(
        "For example: imaps://mail.example.org. A person who is locked out or let in is tried there, where their "
        "password is known. Empty: at the servers themselves."
    ),
)
_PROXY_ROUTE: Final = gettext_lazy(
    "The table of a Dovecot that passes everybody on to their server. The switch is made there, and programs that are "
    "still on the old server are sent away."
)
_GATE: Final = Part(
    gettext_lazy("Which front server"),
    (
        Option(
            "gate",
            TEXT,
            gettext_lazy("Name of the gate"),
            gettext_lazy("The front server asks /auth/NAME. Small letters, digits and hyphens."),
            default="front",
        ),
        Option(
            "domains",
            LINES,
            gettext_lazy("Domains"),
            gettext_lazy("One a line. The first is that of people who sign in without one."),
            is_needed=True,
        ),
    ),
)
_TABLE: Final[Mapping[str, Json]] = {"table": {host_files.OURS: host_files.GATES}}
_DOORS: Final = gettext_lazy(
    "One a line, by number: imap 192.0.2.7:143. By smtp only where that server asks for the password itself."
)
_NEXTHOP: Final = gettext_lazy("As in a transport table: lmtp:inet:192.0.2.7:24. Empty: Postfix is not told.")

VARIANTS: Final = (
    Variant(
        "route-nginx",
        "route",
        "nginx",
        gettext_lazy("Route at a gate, for nginx and Postfix"),
        gettext_lazy(
            "A front server asks Mailferry's gate at each sign-in who serves a person. The password below is what it "
            "shows to be answered."
        ),
        (
            _GATE,
            Part(
                gettext_lazy("The two servers behind it"),
                (
                    *NAMES,
                    Option("source_doors", LINES, gettext_lazy("The old server answers at"), _DOORS, is_needed=True),
                    Option("target_doors", LINES, gettext_lazy("The new server answers at"), _DOORS, is_needed=True),
                ),
            ),
            more(
                _DOOR,
                Option("source_nexthop", TEXT, gettext_lazy("Mail goes to the old server by"), _NEXTHOP),
                Option("target_nexthop", TEXT, gettext_lazy("Mail goes to the new server by"), _NEXTHOP),
            ),
        ),
        fixed=_TABLE,
    ),
    Variant(
        "directory-gate",
        "directory",
        "gate",
        gettext_lazy("Sign-in at a gate"),
        gettext_lazy(
            "Locks a person out at the front server while the last mail is copied. It locks no other door: people who "
            "reach the old server past the front still get in."
        ),
        (_GATE,),
        fixed=_TABLE,
        has_secret=False,
    ),
    Variant(
        "route-dovecot-postgresql",
        "route",
        "dovecot",
        gettext_lazy("Route of a Dovecot proxy, in PostgreSQL"),
        _PROXY_ROUTE,
        (
            POSTGRESQL_LINE,
            sql_route("IS NOT DISTINCT FROM"),
            _PROXY,
            more(_DOOR, *POSTGRESQL_MORE, *SQL_MORE, SECONDS_EACH),
        ),
        fixed={"driver": "postgresql"},
    ),
    Variant(
        "route-dovecot-sqlite",
        "route",
        "dovecot",
        gettext_lazy("Route of a Dovecot proxy, in SQLite"),
        _PROXY_ROUTE,
        (SQLITE_LINE, sql_route("IS"), _PROXY, more(_DOOR, *SQL_MORE, SECONDS_EACH)),
        fixed={"driver": "sqlite"},
        has_secret=False,
    ),
    Variant(
        "route-command",
        "route",
        "command",
        gettext_lazy("Route by your own programs"),
        ROUTE,
        (
            Part(
                gettext_lazy("What says who serves a person"),
                (
                    *NAMES,
                    Option(
                        "find",
                        PROGRAM,
                        gettext_lazy("Program that tells"),
                        gettext_lazy(
                            "It is called with the person's address, and prints the server's name. It exits with 67 "
                            "for somebody it does not know."
                        ),
                        is_needed=True,
                    ),
                    Option(
                        "replace",
                        PROGRAM,
                        gettext_lazy("Program that changes it"),
                        gettext_lazy(
                            "It is called with the address, the name that is expected and the one that is wanted, and "
                            "changes nothing where another name stands."
                        ),
                        is_needed=True,
                    ),
                ),
            ),
            more(SECONDS_EACH),
        ),
        has_secret=False,
    ),
    Variant(
        "sessions-dovecot-proxy",
        "sessions",
        "dovecot_proxy",
        gettext_lazy("Sessions on a Dovecot proxy"),
        gettext_lazy(
            "Ends open mail programs where they pass the proxy, whatever the old server is, so that nobody works on "
            "while locked out."
        ),
        (_PROXY, more(SECONDS_EACH)),
        has_secret=False,
    ),
)
