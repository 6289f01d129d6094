"""Directories that are a mail server's own list of accounts, in the words of the form."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from django.utils.translation import gettext_lazy

from campaigns.forms.variant import FLAG, FOLDER, LINES, LIST, PORT, PROGRAM, SCALAR, TEXT, Option, Part, Variant
from campaigns.forms.variant_parts import (
    ABSENT,
    ADMITTING,
    ANSWER,
    CONNECT,
    DIRECTORY,
    KNOWN_BY,
    OUR_ADDRESSES,
    READING,
    SECONDS_EACH,
    more,
)
from migrator.directories.communigate_population import KINDS
from migrator.directories.dovecot_population import FOLDERS

_CLI: Final = Part(
    gettext_lazy("Where it is"),
    (
        Option("host", TEXT, gettext_lazy("Server"), is_needed=True),
        Option("port", PORT, gettext_lazy("Port"), default=106),
        Option(
            "login",
            TEXT,
            gettext_lazy("Sign in as"),
            gettext_lazy("An account with the right to change others."),
            default="postmaster",
        ),
        Option(
            "sign_in",
            TEXT,
            gettext_lazy("How the password is told"),
            gettext_lazy("The line is not encrypted: in clear only where nobody can listen."),
            default="apop",
            choices=(
                ("apop", gettext_lazy("By its digest (APOP)")),
                ("plain", gettext_lazy("In clear")),
            ),
        ),
    ),
)
_NUMBER: Final = Option(
    "list_number",
    TEXT,
    gettext_lazy("Number at the head of a list of services"),
    gettext_lazy("26 or 27. The settings of any account that has such a list show it."),
    default="27",
)


def _chosen(name: str, label: Any) -> Option:
    return Option(name, LINES, label, gettext_lazy("Addresses, one a line. Empty: all that are made."))


_OS_ACCOUNTS: Final = _chosen("os_accounts", gettext_lazy("Who has the password of the operating system"))
_EXTERNAL_ACCOUNTS: Final = _chosen("external_accounts", gettext_lazy("Who has an External INBOX"))


_REASON: Final = Option(
    "reason",
    TEXT,
    gettext_lazy("What a person reads who is refused"),
    gettext_lazy("One word: Dovecot's file has no blanks there."),
    default="Mailbox_is_being_moved",
)
_DOVEADM: Final = Option(
    "doveadm",
    PROGRAM,
    gettext_lazy("Program that runs doveadm"),
    gettext_lazy("It tells when Dovecot acts on the file."),
    unchosen=gettext_lazy("doveadm of this machine"),
)

VARIANTS: Final = (
    Variant(
        "directory-communigate",
        "directory",
        "communigate",
        gettext_lazy("Accounts of a CommuniGate Pro"),
        gettext_lazy(
            "By its command line: a person's Enabled Services are cut down to receiving mail while the last mail is "
            "copied, open sessions are ended, and afterwards the services are what they were."
        ),
        (
            _CLI,
            Part(
                gettext_lazy("More"),
                (
                    _NUMBER,
                    CONNECT,
                    ANSWER,
                ),
                is_more=True,
            ),
        ),
    ),
    Variant(
        "directory-dovecot",
        "directory",
        "dovecot",
        gettext_lazy("Files of a Dovecot"),
        gettext_lazy(
            "Its passwd-file, or the file of those whom it denies. A person is refused with a reason while the last "
            "mail is copied; a master user of Dovecot is let in all the same. Where another passdb stands behind it, "
            "the passwd-file needs result_failure = return-fail, or a password there opens it."
        ),
        (
            Part(
                gettext_lazy("What is changed"),
                (
                    Option("users", LIST, gettext_lazy("Passwd-file"), is_needed=True),
                    Option(
                        "deny",
                        LIST,
                        gettext_lazy("File of those who are denied"),
                        gettext_lazy("Where Dovecot has one before all others, with deny = yes."),
                        unchosen=gettext_lazy("none: the passwd-file is changed"),
                    ),
                    _REASON,
                    replace(KNOWN_BY, default="address"),
                ),
            ),
            more(
                _DOVEADM,
                SECONDS_EACH,
            ),
        ),
        has_secret=False,
    ),
    Variant(
        "directory-cyrus",
        "directory",
        "cyrus",
        gettext_lazy("Users whom a Cyrus denies"),
        gettext_lazy(
            "By cyr_deny. Whoever signs in for a person is denied with them, so let Mailferry read as an administrator "
            "in its own name, or by a service of its own in cyrus.conf."
        ),
        (
            Part(
                gettext_lazy("How it is told"),
                (
                    Option(
                        "cyr_deny",
                        PROGRAM,
                        gettext_lazy("Program that runs cyr_deny"),
                        gettext_lazy("As the user of Cyrus."),
                        unchosen=gettext_lazy("cyr_deny of this machine"),
                    ),
                    Option(
                        "mbpath",
                        PROGRAM,
                        gettext_lazy("Program that runs mbpath"),
                        gettext_lazy("It tells who has a mailbox."),
                        unchosen=gettext_lazy("mbpath of this machine"),
                    ),
                    Option(
                        "services",
                        TEXT,
                        gettext_lazy("Services that are denied"),
                        gettext_lazy("Their names in cyrus.conf, with commas and no blanks; * is all."),
                        default="*",
                    ),
                    replace(KNOWN_BY, default="local"),
                ),
            ),
            more(
                Option(
                    "message",
                    TEXT,
                    gettext_lazy("What a person reads who is refused"),
                    default="Your mailbox is being moved",
                ),
                Option("mailbox", TEXT, gettext_lazy("What stands before a name in mailbox names"), default="user."),
                SECONDS_EACH,
            ),
        ),
        has_secret=False,
    ),
    Variant(
        "directory-command",
        "directory",
        "command",
        gettext_lazy("Directory by your own programs"),
        DIRECTORY,
        (
            Part(
                gettext_lazy("What says who may sign in"),
                (
                    Option(
                        "find",
                        PROGRAM,
                        gettext_lazy("Program that tells"),
                        gettext_lazy(
                            "It is called with the person's address, and prints a word. It exits with 67 for somebody "
                            "it does not know."
                        ),
                        is_needed=True,
                    ),
                    Option(
                        "replace",
                        PROGRAM,
                        gettext_lazy("Program that changes it"),
                        gettext_lazy(
                            "It is called with the address, the word that is expected and the one that is wanted, and "
                            "changes nothing where another word stands."
                        ),
                        is_needed=True,
                    ),
                    Option("open_value", SCALAR, gettext_lazy("Word that admits"), is_needed=True),
                    Option("closed_value", SCALAR, gettext_lazy("Word that refuses"), is_needed=True),
                ),
            ),
            more(ADMITTING, READING, ABSENT, SECONDS_EACH),
        ),
        has_secret=False,
    ),
    Variant(
        "sessions-cyrus",
        "sessions",
        "cyrus",
        gettext_lazy("Sessions on a Cyrus"),
        gettext_lazy("Ends open mail programs on the old server, so that nobody works on while locked out."),
        (
            Part(
                gettext_lazy("How it is asked"),
                (
                    Option(
                        "cyr_info",
                        PROGRAM,
                        gettext_lazy("Program that runs cyr_info"),
                        gettext_lazy("As the user of Cyrus; it is called with the word proc."),
                        unchosen=gettext_lazy("cyr_info of this machine"),
                    ),
                    Option(
                        "kill",
                        PROGRAM,
                        gettext_lazy("Program that ends a session"),
                        gettext_lazy("It is called with the number of a process."),
                        unchosen=gettext_lazy("kill -TERM on this machine"),
                    ),
                    replace(KNOWN_BY, default="local"),
                    OUR_ADDRESSES,
                ),
            ),
            more(SECONDS_EACH),
        ),
        has_secret=False,
    ),
    Variant(
        "population-dovecot",
        "population",
        "dovecot",
        gettext_lazy("Accounts made in a Dovecot's passwd-file"),
        gettext_lazy(
            "Who has no line in the passwd-file of the new server gets one, closed until the switch. It holds no "
            "password: that is the operating system's, or set by you."
        ),
        (
            Part(
                gettext_lazy("What is written"),
                (
                    Option("users", LIST, gettext_lazy("Passwd-file"), is_needed=True),
                    replace(KNOWN_BY, default="address"),
                    Option(
                        "os_password",
                        FLAG,
                        gettext_lazy("With the password of the operating system"),
                        gettext_lazy(
                            "The passdb behind the passwd-file is asked for it. The passwd-file needs result_failure = "
                            "return-fail, so that nobody else is let in by it."
                        ),
                        default=False,
                    ),
                    _OS_ACCOUNTS,
                    Option(
                        "external_inbox",
                        FOLDER,
                        gettext_lazy("With an External INBOX in this folder"),
                        gettext_lazy(
                            "A mailbox file of the system, called as the part of the address before the @, like "
                            "/var/mail. Programs that read such files see the mail, too, and can destroy it."
                        ),
                        unchosen=gettext_lazy("None: INBOX is where Dovecot keeps all mail"),
                    ),
                    _EXTERNAL_ACCOUNTS,
                ),
            ),
            more(
                Option(
                    "external_folders",
                    TEXT,
                    gettext_lazy("Other folders of such an account"),
                    gettext_lazy("A folder in the home of the account."),
                    default=FOLDERS,
                ),
                _REASON,
                _DOVEADM,
                SECONDS_EACH,
            ),
        ),
        has_secret=False,
    ),
    Variant(
        "population-communigate",
        "population",
        "communigate",
        gettext_lazy("Accounts made on a CommuniGate Pro"),
        gettext_lazy(
            "Who has no account on the new server gets one, closed until the switch. What was made is never deleted."
        ),
        (
            _CLI,
            Part(
                gettext_lazy("What is made"),
                (
                    Option(
                        "account_type",
                        TEXT,
                        gettext_lazy("Type of account"),
                        default="MultiMailbox",
                        choices=tuple((kind, kind) for kind in KINDS),
                    ),
                    Option(
                        "external_inbox",
                        FLAG,
                        gettext_lazy("With an External INBOX"),
                        gettext_lazy("A mailbox file of the system, where the settings of its domain put it."),
                        default=False,
                    ),
                    _EXTERNAL_ACCOUNTS,
                    Option(
                        "os_password",
                        FLAG,
                        gettext_lazy("With the password of the operating system"),
                        default=False,
                    ),
                    _OS_ACCOUNTS,
                ),
            ),
            more(_NUMBER, CONNECT, ANSWER),
        ),
    ),
)
