"""Accounts, publications and holds in LDAP, in words of the form."""

from __future__ import annotations

from typing import Final

from django.utils.translation import gettext_lazy

from campaigns.forms.variant import LINES, PROGRAM, SECONDS, TEXT, Option, Part, Variant
from campaigns.forms.variant_parts import (
    ANSWER,
    CA,
    CONNECT,
    LDAP_LINE,
    LDAP_MORE,
    LDAP_PEOPLE,
    SECONDS_EACH,
    STARTTLS,
    example,
    more,
)
from campaigns.forms.variants_mta import POSTFIX

_LINE_MORE: Final = (STARTTLS, CA, CONNECT, ANSWER)

_HOLD: Final = gettext_lazy(
    "New mail of a person waits while they move: an attribute tells the mail server to keep it."
)
_HOLDING: Final = Part(
    gettext_lazy("What holds mail"),
    (
        Option("attribute", TEXT, gettext_lazy("Attribute"), default="mailDeliveryOption"),
        Option(
            "value",
            TEXT,
            gettext_lazy("Value that holds"),
            gettext_lazy("It stands alone while mail is held; all values of before come back."),
            default="hold",
        ),
    ),
)

VARIANTS: Final = (
    Variant(
        "hold-ldap",
        "hold",
        "ldap",
        gettext_lazy("Hold in LDAP, with a program of your own"),
        _HOLD,
        (
            LDAP_LINE,
            LDAP_PEOPLE,
            _HOLDING,
            Part(
                gettext_lazy("How the mail server is asked"),
                (
                    Option(
                        "program",
                        PROGRAM,
                        gettext_lazy("Program"),
                        gettext_lazy(
                            "It is called with a word and the person's address: count prints how many messages wait, "
                            "settled yes or no, flush has them delivered; check prints what is wrong."
                        ),
                        is_needed=True,
                    ),
                ),
            ),
            more(SECONDS_EACH, *LDAP_MORE.options),
        ),
        fixed={"server": "program"},
    ),
    Variant(
        "hold-ldap-postfix",
        "hold",
        "ldap",
        gettext_lazy("Hold in LDAP, read by Postfix"),
        _HOLD,
        (LDAP_LINE, LDAP_PEOPLE, _HOLDING, POSTFIX, more(SECONDS_EACH, *LDAP_MORE.options)),
        fixed={"server": "postfix"},
    ),
    Variant(
        "population-ldap",
        "population",
        "ldap",
        gettext_lazy("New accounts in LDAP"),
        gettext_lazy("Makes an entry for each person who has none on the new server, closed until they are let in."),
        (
            LDAP_LINE,
            LDAP_PEOPLE,
            Part(
                gettext_lazy("What an entry is made of"),
                (
                    Option(
                        "dn",
                        TEXT,
                        gettext_lazy("Its name"),
                        example("uid={local},ou=people,dc=example,dc=org"),
                        is_needed=True,
                    ),
                    Option(
                        "entry",
                        LINES,
                        gettext_lazy("Its attributes"),
                        gettext_lazy(
                            "One a line, with {address}, {local} or {domain}: objectClass: inetOrgPerson, uid: "
                            "{local}, mail: {address}, mailHost: new.example.org. No passwords."
                        ),
                        is_needed=True,
                    ),
                    Option(
                        "closed",
                        TEXT,
                        gettext_lazy("What keeps the person out at first"),
                        gettext_lazy(
                            "An attribute and its value, for example: emailPersonStatus: inactive. Empty: the usual "
                            "one, if there is one."
                        ),
                    ),
                ),
            ),
            more(*_LINE_MORE),
        ),
    ),
    Variant(
        "publication-ldap",
        "publication",
        "ldap",
        gettext_lazy("Copies of a directory in LDAP"),
        gettext_lazy("Waits until replicas and mail servers act on what was changed, by asking them."),
        (
            LDAP_LINE,
            LDAP_PEOPLE,
            Part(
                gettext_lazy("Who must act on a change"),
                (
                    Option(
                        "hosts",
                        LINES,
                        gettext_lazy("Replicas and mail servers"),
                        gettext_lazy(
                            "One a line: ldaps://replica.example.org is asked for the entry, smtp://mx.example.org "
                            "whether it takes mail for the person and for nobody else."
                        ),
                        is_needed=True,
                    ),
                    Option(
                        "program",
                        PROGRAM,
                        gettext_lazy("Program that brings them up to date"),
                        gettext_lazy("It is called with the person's address, after a change."),
                        unchosen=gettext_lazy("They do so by themselves"),
                    ),
                    Option(
                        "attributes",
                        LINES,
                        gettext_lazy("Attributes that replicas must have alike"),
                        gettext_lazy("One a line. Empty: mailHost, and those of the kind of directory."),
                    ),
                ),
            ),
            more(Option("seconds", SECONDS, gettext_lazy("Seconds for the program"), default=300), *_LINE_MORE),
        ),
    ),
)
