"""What forms ask of connectors that hold mail in a mail server and route it there."""

from __future__ import annotations

from typing import Any, Final

from django.utils.translation import gettext_lazy

from campaigns.forms.variant import FOLDER, LINES, LIST, PROGRAM, TEXT, Option, Part, Variant
from campaigns.forms.variant_parts import ANSWER, POSTGRESQL_LINE, POSTGRESQL_MORE, SECONDS_EACH, more

POSTFIX: Final = Part(
    gettext_lazy("How Postfix is asked"),
    (
        Option(
            "through",
            PROGRAM,
            gettext_lazy("Program before Postfix's own"),
            gettext_lazy("It runs what its words name: postconf, postqueue, postmap, or postfix reload."),
            unchosen=gettext_lazy("None: Postfix is on this machine, and Mailferry may reload it"),
        ),
    ),
)


def _file(name: str, label: Any, *, is_needed: bool = True) -> Option:
    return Option(
        name,
        LIST,
        label,
        gettext_lazy("The text of the hash file that transport_maps names. Mailferry writes both anew."),
        is_needed=is_needed,
        unchosen="" if is_needed else gettext_lazy("None"),
    )


_HOLD_FILE: Final = _file("hold_file", gettext_lazy("Table of held mail"))
_ROUTE_FILES: Final = (
    _file("route_file", gettext_lazy("Table of routes")),
    _file("hold_file", gettext_lazy("Table of held mail"), is_needed=False),
)
_RELATION: Final = Option("relation", TEXT, gettext_lazy("Table"), default="mailferry_transport")
_MANNER: Final = Part(
    gettext_lazy("Where mail waits"),
    (
        Option(
            "manner",
            TEXT,
            gettext_lazy("New mail waits"),
            default="parked",
            choices=(
                ("parked", gettext_lazy("in Postfix's queue")),
                ("choked", gettext_lazy("at its senders, who are told to come again")),
            ),
        ),
    ),
)
_TRANSPORTS: Final = Part(
    gettext_lazy("Where mail goes"),
    (
        Option(
            "target",
            TEXT,
            gettext_lazy("Transport to the new server"),
            gettext_lazy("For example: smtp:[new.example.org]:25"),
            is_needed=True,
        ),
        Option(
            "source",
            LINES,
            gettext_lazy("Transports to the old server"),
            gettext_lazy("Only where the table names it, too; one a line. It serves all whom the table does not hold."),
        ),
    ),
)
_FORWARD: Final = Part(
    gettext_lazy("Folders of this machine"),
    (
        Option(
            "homes",
            FOLDER,
            gettext_lazy("Homes"),
            gettext_lazy("In it each person's home is called as their part of the address before the @."),
            is_needed=True,
        ),
        Option(
            "held",
            FOLDER,
            gettext_lazy("Where new mail waits"),
            gettext_lazy("A folder for this alone, of root, mode 711. What was fetched stays there as NAME.imported."),
            is_needed=True,
        ),
        Option(
            "mailboxes",
            FOLDER,
            gettext_lazy("Old mailboxes"),
            gettext_lazy("Mbox files called as their user, like /var/mail: there goes what waited for who stays."),
            unchosen=gettext_lazy("None: it stays in its file"),
        ),
    ),
)
_HOLD: Final = gettext_lazy("New mail for a person waits while their mailbox is moved, and nothing is returned.")
_FORWARDING: Final = gettext_lazy(
    "A person's new mail goes into a file by their .forward while their mailbox is moved; it is copied from there "
    "afterwards. Only where the mail server looks at .forward first. Their own forwarding rests meanwhile."
)
_ROUTE: Final = gettext_lazy("Says to which of the two servers new mail for a person goes.")

VARIANTS: Final = (
    Variant(
        "hold-postfix-hash",
        "hold",
        "postfix",
        gettext_lazy("Hold in Postfix, by files"),
        _HOLD,
        (POSTFIX, Part(gettext_lazy("Table"), (_HOLD_FILE,)), _MANNER, more(SECONDS_EACH)),
        fixed={"table": "hash"},
        has_secret=False,
    ),
    Variant(
        "hold-postfix-postgresql",
        "hold",
        "postfix",
        gettext_lazy("Hold in Postfix, by PostgreSQL"),
        _HOLD,
        (POSTFIX, POSTGRESQL_LINE, _MANNER, more(_RELATION, SECONDS_EACH, *POSTGRESQL_MORE, ANSWER)),
        fixed={"table": "postgresql"},
    ),
    Variant(
        "hold-forward-file",
        "hold",
        "forward_file",
        gettext_lazy("Hold by .forward files"),
        _FORWARDING,
        (_FORWARD,),
        fixed={"postfix": False},
        has_secret=False,
    ),
    Variant(
        "hold-forward-file-postfix",
        "hold",
        "forward_file",
        gettext_lazy("Hold by .forward files, in Postfix"),
        _FORWARDING,
        (_FORWARD, POSTFIX, more(SECONDS_EACH)),
        fixed={"postfix": True},
        has_secret=False,
    ),
    Variant(
        "hold-command",
        "hold",
        "command",
        gettext_lazy("Hold by your own program"),
        _HOLD,
        (
            Part(
                gettext_lazy("How it is asked"),
                (
                    Option(
                        "program",
                        PROGRAM,
                        gettext_lazy("Program"),
                        gettext_lazy("It gets a verb and an address: look, hold, free, settled, count, flush, check."),
                        is_needed=True,
                    ),
                ),
            ),
            more(SECONDS_EACH),
        ),
        has_secret=False,
    ),
    Variant(
        "route-postfix-hash",
        "route",
        "postfix",
        gettext_lazy("Route in Postfix, by files"),
        _ROUTE,
        (POSTFIX, Part(gettext_lazy("Tables"), _ROUTE_FILES), _TRANSPORTS, more(SECONDS_EACH)),
        fixed={"table": "hash"},
        has_secret=False,
    ),
    Variant(
        "route-postfix-postgresql",
        "route",
        "postfix",
        gettext_lazy("Route in Postfix, by PostgreSQL"),
        _ROUTE,
        (POSTFIX, POSTGRESQL_LINE, _TRANSPORTS, more(_RELATION, SECONDS_EACH, *POSTGRESQL_MORE, ANSWER)),
        fixed={"table": "postgresql"},
    ),
)
