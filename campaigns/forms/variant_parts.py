"""Parts that the forms of several connectors share: where an LDAP or SQL server is, and how a route is found there."""

from __future__ import annotations

from typing import Any, Final

from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy

from campaigns.forms.variant import DATABASE, FLAG, LINES, PORT, SCALAR, SCALARS, SECONDS, STATEMENT, TEXT, Option, Part


def example(text: str) -> Any:
    """Return the help of an option that shows what may be typed."""
    return format_lazy("{} {}", gettext_lazy("For example:"), text)


def statement(text: str) -> Any:
    """Return the help of an option whose file holds SQL."""
    return format_lazy("{} {}", gettext_lazy("The file holds, for example:"), text)


CA: Final = Option(
    "ca_file",
    TEXT,
    gettext_lazy("File of certificate authorities"),
    gettext_lazy("Its full path on this machine. Empty: those of the system."),
)
ANSWER: Final = Option("answer_seconds", SECONDS, gettext_lazy("Seconds to wait for an answer"), default=30)
CONNECT: Final = Option("connect_seconds", SECONDS, gettext_lazy("Seconds to wait for a connection"), default=10)

LDAP_LINE: Final = Part(
    gettext_lazy("Where it is"),
    (
        Option(
            "uris",
            LINES,
            gettext_lazy("Addresses"),
            gettext_lazy("One a line, the first that answers is taken: ldaps://ldap.example.org"),
            is_needed=True,
        ),
        Option("bind_dn", TEXT, gettext_lazy("Sign in as"), example("cn=mailferry,dc=example,dc=org"), is_needed=True),
    ),
)
LDAP_PEOPLE: Final = Part(
    gettext_lazy("How a person is found"),
    (
        Option("base", TEXT, gettext_lazy("Search below"), example("ou=people,dc=example,dc=org"), is_needed=True),
        Option(
            "schema",
            TEXT,
            gettext_lazy("People are kept there as by"),
            default="custom",
            choices=(
                ("custom", gettext_lazy("none of these: I say below how")),
                ("sims", gettext_lazy("Sun Internet Mail Server (SIMS)")),
                ("netscape", gettext_lazy("Netscape Messaging Server")),
                ("iplanet", gettext_lazy("iPlanet, Sun and Oracle messaging servers")),
                ("laser", gettext_lazy("inetLocalMailRecipient (OpenLDAP and others)")),
            ),
        ),
        Option(
            "filter",
            TEXT,
            gettext_lazy("Filter"),
            gettext_lazy(
                "With {address}, {local} or {domain} in the place of the person's. Empty: by the addresses that are "
                "usual there; where nothing is usual, (mail={address})."
            ),
        ),
    ),
)
STARTTLS: Final = Option(
    "starttls",
    FLAG,
    gettext_lazy("Encrypt ldap:// addresses by StartTLS"),
    gettext_lazy("Without it the password crosses the network for all to read."),
    default=True,
)
LDAP_MORE: Final = Part(
    gettext_lazy("More"),
    (
        STARTTLS,
        CA,
        Option(
            "address_attribute",
            TEXT,
            gettext_lazy("Attribute that holds the address"),
            gettext_lazy("For lists. Empty: the usual one, mail."),
        ),
        CONNECT,
        ANSWER,
    ),
    is_more=True,
)
SQLITE_LINE: Final = Part(
    gettext_lazy("Where it is"),
    (
        Option(
            "path",
            DATABASE,
            gettext_lazy("Database file"),
            is_needed=True,
        ),
    ),
)
POSTGRESQL_LINE: Final = Part(
    gettext_lazy("Where it is"),
    (
        Option("host", TEXT, gettext_lazy("Host"), is_needed=True),
        Option("port", PORT, gettext_lazy("Port"), default=5432),
        Option("database", TEXT, gettext_lazy("Database"), is_needed=True),
        Option("user", TEXT, gettext_lazy("Sign in as"), is_needed=True),
    ),
)
POSTGRESQL_MORE: Final = (
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
    CA,
    CONNECT,
)
SQL_MORE: Final = (
    Option(
        "list",
        STATEMENT,
        gettext_lazy("Statement that lists all addresses"),
        gettext_lazy("Optional, for lists. The file holds: SELECT address FROM users"),
        unchosen=gettext_lazy("None"),
    ),
    ANSWER,
)


def replacing(column: str, equals: str) -> str:
    """Return the statement that replaces a column; ``equals`` compares so that NULL is equal to NULL."""
    return (
        f"UPDATE users SET {column} = :wanted_{column} WHERE address = :address "
        f"AND {column} {equals} :expected_{column}"
    )


NAMES: Final = (
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


def sql_route(equals: str) -> Part:
    """Return what a route in SQL is asked for."""
    return Part(
        gettext_lazy("What says who serves a person"),
        (
            Option("column", TEXT, gettext_lazy("Column"), default="mailhost"),
            *NAMES,
            Option(
                "find",
                STATEMENT,
                gettext_lazy("Statement that finds a person"),
                statement("SELECT mailhost FROM users WHERE address = :address"),
                is_needed=True,
            ),
            Option(
                "replace",
                STATEMENT,
                gettext_lazy("Statement that changes the value"),
                statement(replacing("mailhost", equals)),
                is_needed=True,
            ),
        ),
    )


def more(*options: Option) -> Part:
    """Return options that are folded away."""
    return Part(gettext_lazy("More"), options, is_more=True)


DIRECTORY: Final = gettext_lazy("Says who may sign in. A person is locked out there while the last mail is copied.")
ROUTE: Final = gettext_lazy("Says which of the two servers serves a person. The switch is made there.")
SECONDS_EACH: Final = Option("seconds", SECONDS, gettext_lazy("Seconds for each call"), default=30)
ADMITTING: Final = Option(
    "admitting_values",
    SCALARS,
    gettext_lazy("All values that admit"),
    gettext_lazy("One a line, if there are more than the one above."),
)
READING: Final = Option(
    "reading_value",
    SCALAR,
    gettext_lazy("Value that refuses reading alone"),
    gettext_lazy("If the servers know one with which the person may still send. Empty: sending is refused, too."),
)
ABSENT: Final = Option("absent_admits", FLAG, gettext_lazy("A person without a value is admitted"), default=True)
KNOWN_BY: Final = Option(
    "user",
    TEXT,
    gettext_lazy("It knows people by"),
    choices=(("address", gettext_lazy("their whole address")), ("local", gettext_lazy("the part before the @"))),
)
OUR_ADDRESSES: Final = Option(
    "our_addresses",
    LINES,
    gettext_lazy("Numbers from which Mailferry reads mailboxes"),
    gettext_lazy("One a line. Sessions from there are neither counted nor ended."),
)
