"""Errors with a radius and a patience, a stable code, a plain sentence, a next step, and the server's own words.

Radius says how much is spoilt, patience whether trying again can help. Sentences are message ids marked for
translation; whoever shows them fills in ``side`` and the parameters.

The module is long because the catalogue is one table: whoever adds a code sees its neighbours, and says it as they do.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final, NamedTuple


def N_(text: str) -> str:
    """Mark a text for translation without translating it here."""
    return text


class Radius(StrEnum):
    """How much one error spoils."""

    MESSAGE = "message"  # give it its outcome, go on
    FOLDER = "folder"  # finish the rest, the account fails
    ACCOUNT = "account"
    SERVER = "server"  # stop starting work against this server
    CONFIG = "config"  # pause everything that shares the configuration


class Patience(StrEnum):
    """Whether trying again can help."""

    NOW = "now"  # reconnect and go on, bounded
    LATER = "later"  # by itself, after a while
    NEVER = "never"  # a person must act


class Side(StrEnum):
    """Which server spoke."""

    SOURCE = "source"
    TARGET = "target"


class Entry(NamedTuple):
    """What is known of one code."""

    radius: Radius
    patience: Patience
    sentence: str
    next_step: str


CATALOGUE: Final[dict[str, Entry]] = {
    "unknown": Entry(
        Radius.ACCOUNT,
        Patience.LATER,
        N_("The server gave an answer that is not known here."),
        N_("Show the server's words, with their time, to whoever runs the server."),
    ),
    # the line
    "line.lost": Entry(
        Radius.ACCOUNT,
        Patience.NOW,
        N_("The line to the server dropped. The copy goes on where it was."),
        N_("Nothing to do, unless it repeats."),
    ),
    "line.silent": Entry(
        Radius.ACCOUNT,
        Patience.NOW,
        N_("The server stopped answering."),
        N_("Look at the load of the server; allow it more time."),
    ),
    "line.closed": Entry(
        Radius.ACCOUNT,
        Patience.NOW,
        N_("The server ended the session, as servers do now and then. The copy goes on where it was."),
        N_("Nothing to do. If it happens at every try, look for a locked shared folder on the server."),
    ),
    "line.compression": Entry(
        Radius.ACCOUNT,
        Patience.NEVER,
        N_("What the server sent compressed cannot be read: its compression is damaged."),
        N_("Turn compression off for this server, and start again: what was copied is kept."),
    ),
    "line.token_expired": Entry(
        Radius.ACCOUNT,
        Patience.NOW,
        N_("The server ended the session because our permission for it ran out. The copy goes on with a fresh one."),
        N_("Nothing to do. If it happens every few minutes, compare the clock of this machine with the right time."),
    ),
    "machine.exhausted": Entry(
        Radius.CONFIG,
        Patience.LATER,
        N_("This machine has no files, memory or ports left for another connection."),
        N_("Run fewer accounts at once, or raise the machine's limits."),
    ),
    # the server
    "server.unreachable": Entry(
        Radius.SERVER,
        Patience.LATER,
        N_("The server cannot be reached."),
        N_("Check the name, the port and the firewall. An IPv6 address that nobody answers is a known trap."),
    ),
    "server.no_address": Entry(
        Radius.SERVER,
        Patience.LATER,
        N_("The server's name has no address."),
        N_("Check the spelling of the server's name, and the name service of this machine."),
    ),
    "server.not_imap": Entry(
        Radius.CONFIG,
        Patience.NEVER,
        N_("What answers at this port does not speak IMAP."),
        N_("Check the port: 143 is usual for IMAP, 993 for IMAP with TLS."),
    ),
    "server.not_pop": Entry(
        Radius.CONFIG,
        Patience.NEVER,
        N_("What answers at this port does not speak POP3."),
        N_("Check the port: 110 is usual for POP3, 995 for POP3 with TLS."),
    ),
    "server.not_smtp": Entry(
        Radius.CONFIG,
        Patience.NEVER,
        N_("What answers at this port does not speak SMTP or LMTP."),
        N_("Check the port: 25 is usual for SMTP, 24 for LMTP."),
    ),
    "server.not_sieve": Entry(
        Radius.ACCOUNT,
        Patience.NEVER,
        N_("What answers at this port does not speak ManageSieve."),
        N_("Check the port: 4190 is usual for ManageSieve, 2000 for old servers."),
    ),
    "server.nonsense": Entry(
        Radius.ACCOUNT,
        Patience.NOW,
        N_("The server's answer breaks the rules of its protocol and cannot be read."),
        N_("If it repeats, show the server's words to whoever runs the server."),
    ),
    "server.preauth": Entry(
        Radius.CONFIG,
        Patience.NEVER,
        N_("The server signs everybody in by itself, as a user of its own choice."),
        N_("Use the port or address of the server at which users sign in."),
    ),
    "server.certificate": Entry(
        Radius.CONFIG,
        Patience.NEVER,
        N_("The server's security certificate is not valid."),
        N_("Have it renewed, name the server as the certificate does, or have its authority trusted here."),
    ),
    "server.certificate_changed": Entry(
        Radius.CONFIG,
        Patience.NEVER,
        N_("The server shows another certificate than the one that was accepted for it. Nothing was sent."),
        N_(
            "Compare both fingerprints with whoever runs the server. Accept the other one only if they name it: "
            "somebody may stand in between."
        ),
    ),
    "tls.failed": Entry(
        Radius.CONFIG,
        Patience.NEVER,
        N_("No encrypted connection could be agreed with the server."),
        N_("Check whether this port speaks TLS at once, or only after STARTTLS."),
    ),
    "tls.not_offered": Entry(
        Radius.CONFIG,
        Patience.NEVER,
        N_("The server offers no encryption (STARTTLS) at this port."),
        N_("Use the port that speaks TLS at once, usually 993."),
    ),
    "tls.injected": Entry(
        Radius.CONFIG,
        Patience.NEVER,
        N_("Somebody spoke on the line between the server's consent to encrypt and the encryption."),
        N_("Do not send passwords over this network until it is clear who did."),
    ),
    "server.unavailable": Entry(
        Radius.ACCOUNT,
        Patience.LATER,
        N_("The server is not available just now."),
        N_("Wait. If it lasts longer than ten minutes, tell whoever runs the server."),
    ),
    "server.fault": Entry(
        Radius.ACCOUNT,
        Patience.LATER,
        N_("The server had an internal fault."),
        N_("Show the server's words, with their time, to whoever runs the server."),
    ),
    "server.clock": Entry(
        Radius.SERVER,
        Patience.LATER,
        N_("The server's clock disagrees with that of its file server."),
        N_("Have the clocks of the mail server and the file server set alike."),
    ),
    "server.full": Entry(
        Radius.SERVER,
        Patience.LATER,
        N_("The server has no room left for anybody."),
        N_("Make room on the server's disks; watch the number of files, too."),
    ),
    "server.too_many_connections": Entry(
        Radius.ACCOUNT,
        Patience.LATER,
        N_("Too many programs are connected to this mailbox. The user's phone counts, too."),
        N_("Wait, or use fewer connections. Ask the user to close devices only if it stays so."),
    ),
    "server.too_many_errors": Entry(
        Radius.ACCOUNT,
        Patience.NOW,
        N_("The server hung up after too many errors in one session."),
        N_("Look at the errors before this one."),
    ),
    "server.throttled": Entry(
        Radius.ACCOUNT,
        Patience.LATER,
        N_("The server asks for a slower pace. The copy goes on by itself."),
        N_("Nothing to do. Trying by hand makes it last longer."),
    ),
    "server.locked_out": Entry(
        Radius.ACCOUNT,
        Patience.LATER,
        N_("The server has locked this mailbox for about a day. The copy goes on by itself."),
        N_("Do not try by hand. Warn the owner: webmail may be locked as well."),
    ),
    "server.limit": Entry(
        Radius.ACCOUNT,
        Patience.LATER,
        N_("A limit of the server is reached."),
        N_("Show the server's words to whoever runs the server."),
    ),
    "server.blocks_us": Entry(
        Radius.SERVER,
        Patience.NEVER,
        N_("The server refuses connections from this address."),
        N_("Ask whoever runs the server to allow the address of this machine. Trying again makes the block longer."),
    ),
    "server.mailbox_locked": Entry(
        Radius.ACCOUNT,
        Patience.LATER,
        N_("Another program has locked the mailbox."),
        N_("If it repeats, look for a second copy, a stuck POP session, a backup, or locks on a network disk."),
    ),
    "server.legacy_directories": Entry(
        Radius.ACCOUNT,
        Patience.NEVER,
        N_("The server must tidy up this mailbox before it can be opened."),
        N_("Have the administrator reconstruct the user's mailbox directories."),
    ),
    "server.needs_person": Entry(
        Radius.ACCOUNT,
        Patience.NEVER,
        N_("The server has a message for a person."),
        N_("Read the server's words and do what they say."),
    ),
    "server.alert_in_clear": Entry(
        Radius.ACCOUNT,
        Patience.NEVER,
        N_("A message for a person came over a line that is not encrypted. It may not be from the server."),
        N_("Set up TLS for this server and try again before believing the words."),
    ),
    # sign-in
    "sign_in.refused": Entry(
        Radius.ACCOUNT,
        Patience.NEVER,
        N_("The name or the password for this mailbox is not accepted."),
        N_("Enter the password again; check whether this server wants the full address as name."),
    ),
    "sign_in.unknown_user": Entry(
        Radius.ACCOUNT,
        Patience.NEVER,
        N_("The server knows no mailbox of this name."),
        N_("Check the name; on a new server, create the account first."),
    ),
    "sign_in.app_password": Entry(
        Radius.ACCOUNT,
        Patience.NEVER,
        N_("The mailbox wants a password of its own for this program."),
        N_("Create an app password for the mailbox and enter that."),
    ),
    "sign_in.browser": Entry(
        Radius.ACCOUNT,
        Patience.NEVER,
        N_("Sign-in is paused until the owner confirms it in a browser."),
        N_("Have the owner sign in to webmail once and confirm; try again ten minutes later."),
    ),
    "sign_in.passwords_off": Entry(
        Radius.ACCOUNT,
        Patience.NEVER,
        N_(
            "The sign-in is refused. Such a server says the same where it takes no passwords from mail programs at all."
        ),
        N_("Check the password in webmail; check that password sign-in and IMAP are allowed for this mailbox."),
    ),
    "sign_in.no_mailbox": Entry(
        Radius.ACCOUNT,
        Patience.NEVER,
        N_("The sign-in worked, but this account may not open the mailbox."),
        N_("Check the password, the permission on the mailbox, and whether it has a licence."),
    ),
    "sign_in.password_expired": Entry(
        Radius.ACCOUNT,
        Patience.NEVER,
        N_("The password has expired."),
        N_("Change it once in webmail, then enter the changed one."),
    ),
    "sign_in.not_allowed": Entry(
        Radius.ACCOUNT,
        Patience.NEVER,
        N_("This mailbox is not open for mail programs."),
        N_("Allow IMAP for this user, or for the class of users."),
    ),
    "sign_in.admin_refused": Entry(
        Radius.ACCOUNT,
        Patience.NEVER,
        N_("The administrator may not open this mailbox."),
        N_("Check once whether the administrator may act for users on this server, and whether the user exists."),
    ),
    "sign_in.needs_tls": Entry(
        Radius.CONFIG,
        Patience.NEVER,
        N_("The server takes passwords only over an encrypted connection."),
        N_("Use TLS (usually port 993) or STARTTLS for this server; it holds for all its users."),
    ),
    "sign_in.no_method": Entry(
        Radius.CONFIG,
        Patience.NEVER,
        N_("The server offers no way to sign in with a password that is known here."),
        N_("Check whether the server wants TLS first, or offers password sign-in at another port."),
    ),
    "sign_in.permission_ended": Entry(
        Radius.ACCOUNT,
        Patience.NEVER,
        N_("The permission to open this mailbox has run out, or was never given."),
        N_(
            "Have the consent renewed. Microsoft 365: the application needs IMAP.AccessAsApp (or a user's "
            "IMAP.AccessAsUser.All) and access to the mailbox; Google: the service account needs the scope "
            "https://mail.google.com/ for the domain. Check the clock of this machine, too."
        ),
    ),
    "sign_in.no_tokens": Entry(
        Radius.CONFIG,
        Patience.NEVER,
        N_("The server takes no tokens (OAUTHBEARER, XOAUTH2)."),
        N_("Check the server's name and port, or choose another way in for its administrator."),
    ),
    "sign_in.no_proxyauth": Entry(
        Radius.CONFIG,
        Patience.NEVER,
        N_("The server lets no administrator become another user by PROXYAUTH."),
        N_("Choose another way in for the server's administrator: this one is for servers by Netscape, Sun or Oracle."),
    ),
    "sign_in.temporarily_unavailable": Entry(
        Radius.SERVER,
        Patience.LATER,
        N_("The server cannot check passwords just now. Nothing is wrong with the account."),
        N_("Wait. If it lasts longer than ten minutes, tell whoever runs the server."),
    ),
    "sign_in.maintenance": Entry(
        Radius.ACCOUNT,
        Patience.LATER,
        N_("The mailbox is in maintenance."),
        N_("Wait, unless it was put in maintenance for this move: then open it for the copy."),
    ),
    "sign_in.elsewhere": Entry(
        Radius.ACCOUNT,
        Patience.NEVER,
        N_("This mailbox lives on another server."),
        N_("Name that server for this user; often a list of users and servers is out of date."),
    ),
    "sign_in.malformed": Entry(
        Radius.ACCOUNT,
        Patience.NEVER,
        N_("The server could not read the name or the password as it was sent."),
        N_("Look for unusual characters in the name and the password."),
    ),
    "sign_in.hash_given": Entry(
        Radius.ACCOUNT,
        Patience.NEVER,
        N_("What the list gives as password is the stored form of one (a hash). It opens nothing."),
        N_("Enter the password itself, or let an administrator sign in for the users."),
    ),
    # tokens
    "token.unreachable": Entry(
        Radius.SERVER,
        Patience.LATER,
        N_("The place that gives out permissions (the token endpoint) cannot be reached."),
        N_("Check its address, the firewall, and the way to it from this machine."),
    ),
    "token.unavailable": Entry(
        Radius.SERVER,
        Patience.LATER,
        N_("The token endpoint is busy or has a fault. Nothing is wrong with the account."),
        N_("Wait. If it lasts longer than ten minutes, look at the provider's service status."),
    ),
    "token.refused": Entry(
        Radius.CONFIG,
        Patience.NEVER,
        N_("The token endpoint does not accept the application or service account."),
        N_("Check its id and its secret: secrets of applications run out, often after half a year or two years."),
    ),
    "token.nonsense": Entry(
        Radius.CONFIG,
        Patience.NEVER,
        N_("What answers at the token endpoint gives out no tokens."),
        N_("Check the address of the token endpoint: a tenant's name or id is part of it at Microsoft."),
    ),
    "token.address": Entry(
        Radius.CONFIG,
        Patience.NEVER,
        N_("The address of the token endpoint is not one that secrets may be sent to."),
        N_("Enter the provider's address; it begins with https://."),
    ),
    "token.bad_key": Entry(
        Radius.CONFIG,
        Patience.NEVER,
        N_("The private key of the service account cannot be used."),
        N_("Make a fresh key for the service account, and enter the whole content of its file."),
    ),
    # the request
    "request.too_long": Entry(
        Radius.FOLDER,
        Patience.NOW,
        N_("The server wants shorter requests."),
        N_("Nothing to do, unless it is still so for a single message."),
    ),
    "request.bad_state": Entry(
        Radius.ACCOUNT,
        Patience.NOW,
        N_("The server lost track of the session."),
        N_("Nothing to do. If it repeats, check the permission on the mailbox."),
    ),
    "request.search_refused": Entry(
        Radius.FOLDER,
        Patience.NOW,
        N_("The server cannot search this folder."),
        N_("Nothing to do: the messages are listed one by one."),
    ),
    "filter.refused": Entry(
        Radius.ACCOUNT,
        Patience.NEVER,
        N_("The server does not search as it was asked to, so nobody knows which messages are wanted."),
        N_("Correct the keys of the search, or leave it out and choose by date and size."),
    ),
    # room
    "target.full": Entry(
        Radius.ACCOUNT,
        Patience.LATER,
        N_("The new mailbox is full. Mail already copied is safe."),
        N_("Make room on the new mailbox; the copy then goes on."),
    ),
    # one message
    "message.refused": Entry(
        Radius.MESSAGE,
        Patience.NEVER,
        N_("The new server refused one message."),
        N_("Show the server's words to whoever runs the new server."),
    ),
    "message.refused_bare": Entry(
        Radius.MESSAGE,
        Patience.NEVER,
        N_("The new server refused one message without a reason."),
        N_("Look at its size, its longest line, and whether it asks for a read receipt."),
    ),
    "message.too_big": Entry(
        Radius.MESSAGE,
        Patience.NEVER,
        N_("One message is bigger than the new server allows."),
        N_("Raise the limit on the new server and copy again: only what is missing is copied."),
    ),
    "message.eight_bit": Entry(
        Radius.MESSAGE,
        Patience.NEVER,
        N_("One message holds octets that this server does not take (no 8BITMIME), and it is not altered for that."),
        N_("Deliver it by another server, or copy by IMAP."),
    ),
    "message.sender_refused": Entry(
        Radius.MESSAGE,
        Patience.NEVER,
        N_("The new server refused the sender of one message, and nobody as sender, too."),
        N_("Let the new server take mail from this machine whatever its sender, or copy by IMAP."),
    ),
    "message.unconfirmed": Entry(
        Radius.MESSAGE,
        Patience.NEVER,
        N_("The answer to one message was lost: nobody can tell here whether it arrived. It is not sent again."),
        N_("Look for it in the new mailbox. If it is not there, run again with --retry-left-behind."),
    ),
    "message.header_too_long": Entry(
        Radius.MESSAGE,
        Patience.NEVER,
        N_("One message has a header longer than the new server allows."),
        N_("Raise the limit on the new server and copy again: only what is missing is copied."),
    ),
    "message.virus": Entry(
        Radius.MESSAGE,
        Patience.NEVER,
        N_("The virus filter of the new server refused one message."),
        N_("Leave the message to whoever looks after security; do not weaken the filter."),
    ),
    "message.nul": Entry(
        Radius.MESSAGE,
        Patience.NEVER,
        N_("One message is damaged: it holds NUL characters, which the new server refuses."),
        N_("Allow the repair that replaces them, or save the message by hand."),
    ),
    "message.malformed": Entry(
        Radius.MESSAGE,
        Patience.NEVER,
        N_("One message is not written to the standard, and the new server insists on it."),
        N_("Allow the repair, or save the message by hand."),
    ),
    "message.empty": Entry(
        Radius.MESSAGE, Patience.NEVER, N_("One message is empty."), N_("Nothing to do: there is nothing to copy.")
    ),
    "message.bad_date": Entry(
        Radius.MESSAGE,
        Patience.NOW,
        N_("The new server refuses the date of one message."),
        N_("Nothing to do: another date of the message is used."),
    ),
    "message.duplicate": Entry(
        Radius.MESSAGE,
        Patience.NEVER,
        N_("The new server keeps only so many copies of one and the same message."),
        N_("Look whether anybody needs hundreds of equal copies; mostly a loop made them years ago."),
    ),
    "message.unreadable": Entry(
        Radius.MESSAGE,
        Patience.NEVER,
        N_("The old server cannot hand out one message."),
        N_("Ask the user to open it in webmail and save it."),
    ),
    "message.truncated": Entry(
        Radius.MESSAGE,
        Patience.NOW,
        N_("The old server sent less of a message than it announced."),
        N_("If it repeats, ask the user to open the message in webmail and save it."),
    ),
    "message.vanished": Entry(
        Radius.MESSAGE,
        Patience.NEVER,
        N_("A message was deleted while it was about to be copied."),
        N_("Nothing to do."),
    ),
    "message.marked_deleted": Entry(
        Radius.MESSAGE,
        Patience.NEVER,
        N_("Messages that their owner has marked as deleted stay behind."),
        N_("Nothing to do. They are copied, too, where that is asked for."),
    ),
    "flags.refused": Entry(
        Radius.MESSAGE,
        Patience.NOW,
        N_("The message can be kept, one of its labels cannot."),
        N_("See which labels are lost; have them allowed on the new server if they matter."),
    ),
    "flags.lost": Entry(
        Radius.MESSAGE,
        Patience.NEVER,
        N_("The new server does not keep some flags or labels that messages carry."),
        N_("See which. Have them allowed on the new server if they matter, or tell the owner."),
    ),
    "flags.too_many": Entry(
        Radius.FOLDER,
        Patience.NEVER,
        N_("One folder holds more different labels than the new server keeps in a folder."),
        N_("See how often each is used, and have the owner take off those that matter least."),
    ),
    "flags.many": Entry(
        Radius.FOLDER,
        Patience.NEVER,
        N_("One folder holds more different labels than the new server keeps in the names of files."),
        N_("Nothing to do before the move. Labels beyond the first 26 are lost if an index is built anew (Maildir)."),
    ),
    # two mailboxes
    "target.nearly_full": Entry(
        Radius.ACCOUNT,
        Patience.NEVER,
        N_("The new mailbox may become full: what waits fits in only just."),
        N_("Give the new mailbox more room before the move."),
    ),
    "target.holds_mail": Entry(
        Radius.ACCOUNT,
        Patience.NEVER,
        N_("The new mailbox holds mail already. What is the same is recognised, and not copied a second time."),
        N_("Nothing to do, if it is mail of the same person."),
    ),
    "source.daily_limit": Entry(
        Radius.ACCOUNT,
        Patience.NEVER,
        N_("The old server hands out only so much mail of a mailbox in a day, and this mailbox is bigger."),
        N_("Begin to copy that many days ahead; the copy goes on by itself each day."),
    ),
    "pair.strangers": Entry(
        Radius.ACCOUNT,
        Patience.NEVER,
        N_("The new mailbox holds mail of somebody else. Nothing was written into it."),
        N_("Compare the two names in the list. If it is one person under two names, say so and try again."),
    ),
    # one folder
    "folder.changed": Entry(
        Radius.FOLDER,
        Patience.NOW,
        N_("The server renumbered a folder while it was being read."),
        N_("Nothing to do: the folder is matched again by content."),
    ),
    "folder.missing": Entry(
        Radius.FOLDER,
        Patience.NOW,
        N_("A folder was removed from the new mailbox during the copy."),
        N_("Nothing to do: it is created again."),
    ),
    "folder.prefix": Entry(
        Radius.CONFIG,
        Patience.NEVER,
        N_("The folder names do not fit the way the new server arranges folders."),
        N_("Set the prefix and the separator of the new server once, for all its users."),
    ),
    "folder.bad_name": Entry(
        Radius.FOLDER,
        Patience.NEVER,
        N_("The new server does not allow the name of one folder."),
        N_("Have the folder renamed, or set a rule for such names."),
    ),
    "folder.only_inbox": Entry(
        Radius.FOLDER,
        Patience.NEVER,
        N_("Mail that is delivered by SMTP or LMTP arrives in INBOX; other folders cannot be filled."),
        N_("Copy this folder by IMAP, or leave it out by a rule."),
    ),
    "folder.renumbered_unsent": Entry(
        Radius.FOLDER,
        Patience.NEVER,
        N_("The source names its messages anew, and of one it is not known whether it was sent: it cannot be found."),
        N_("Look in the new mailbox which are missing; then run again with --retry-left-behind."),
    ),
    "folder.no_children": Entry(
        Radius.FOLDER,
        Patience.NEVER,
        N_("The new server allows no folders inside this folder."),
        N_("Put the inner folders beside it."),
    ),
    "folder.exists": Entry(
        Radius.FOLDER,
        Patience.NOW,
        N_("The folder is already there."),
        N_("Nothing to do, unless two folders differ only in upper and lower case."),
    ),
    "folder.no_permission": Entry(
        Radius.FOLDER,
        Patience.NEVER,
        N_("One folder may not be opened, or not be written to."),
        N_("Give the right to it, or leave it out if it is somebody else's."),
    ),
    "folder.renamed": Entry(
        Radius.FOLDER,
        Patience.NEVER,
        N_("Folders get another name on the new server, because theirs is taken or not allowed there."),
        N_("Tell the owner, or choose their names by a rule."),
    ),
    "folder.role_guessed": Entry(
        Radius.FOLDER,
        Patience.NEVER,
        N_("A folder is taken for that of sent mail, drafts, trash or junk by its name; the server does not tell."),
        N_("Look whether it is. If it is not, give the folder its own name by a rule."),
    ),
    "folder.role_doubtful": Entry(
        Radius.FOLDER,
        Patience.NEVER,
        N_("A folder is taken for that of sent mail by its name, but its owner wrote few of the messages in it."),
        N_("Ask the owner. If it holds something else, give the folder its own name by a rule."),
    ),
    "folder.groupware": Entry(
        Radius.FOLDER,
        Patience.NEVER,
        N_("Folders of calendars, contacts, tasks or notes hold no mail: what is copied of them is text only."),
        N_("Leave them out by a rule, and move them by an export (ICS, VCF)."),
    ),
    "folder.left_out": Entry(
        Radius.FOLDER,
        Patience.NEVER,
        N_("Folders that hold messages are not copied."),
        N_("See which, and why. Change the rules if they shall be copied."),
    ),
    "folder.of_others": Entry(
        Radius.FOLDER,
        Patience.NEVER,
        N_("The mailbox shows folders that belong to others or to all. They are not copied with it."),
        N_("Nothing to do for folders of people who move too. Move public folders as an account of their own."),
    ),
    "folder.counts_differ": Entry(
        Radius.FOLDER,
        Patience.NEVER,
        N_("The old server counts another number of messages in a folder than it lists."),
        N_("Have the folder repaired on the old server; what it lists is what is copied."),
    ),
    "folder.phantom": Entry(
        Radius.FOLDER,
        Patience.NEVER,
        N_("The server lists a folder that does not exist."),
        N_("Nothing to do. The user can end the subscription to it."),
    ),
    "folder.shared_unavailable": Entry(
        Radius.FOLDER,
        Patience.LATER,
        N_("A colleague's folder is not available just now."),
        N_("Nothing to do: it is copied with its owner's mailbox."),
    ),
    "folder.damaged": Entry(
        Radius.FOLDER,
        Patience.NEVER,
        N_("The old server cannot read one folder."),
        N_("Have the folder repaired on the old server, then copy again."),
    ),
    "folder.ends_session": Entry(
        Radius.FOLDER,
        Patience.LATER,
        N_("The server ends the whole session when one folder is opened; all others are copied."),
        N_("Look at that folder on the server: it may be a colleague's, and locked. If it is, leave it out by a rule."),
    ),
    "folder.role_taken": Entry(
        Radius.FOLDER,
        Patience.NOW,
        N_("Another folder already has the role of this one, such as that of sent mail."),
        N_("See which two folders claim the role."),
    ),
    "folder.too_many": Entry(
        Radius.ACCOUNT,
        Patience.NEVER,
        N_("The server lists more folders than anybody has: perhaps files that are not mail."),
        N_("See what it lists, and say by a list pattern where the mail is, such as Mail/*; * if all of it is mail."),
    ),
    "folder.not_mail": Entry(
        Radius.ACCOUNT,
        Patience.NEVER,
        N_("The server lists files that are not mail, such as settings and documents."),
        N_("See what it lists, and say by a list pattern where the mail is, such as Mail/*; * if all of it is mail."),
    ),
    "folder.elsewhere": Entry(
        Radius.FOLDER,
        Patience.NEVER,
        N_("One folder lives on another server."),
        N_("Copy it from there, with its owner's mailbox."),
    ),
    # POP3 names of messages
    "pop.names_unknown": Entry(
        Radius.ACCOUNT,
        Patience.NEVER,
        N_("The names that the server gives messages by POP3 are not made of IMAP's numbers, so they cannot be kept."),
        N_("Copy this mailbox by POP3 (pop3://) to keep them, or let POP3 programs fetch the mail again."),
    ),
    # Sieve scripts
    "sieve.refused": Entry(
        Radius.MESSAGE,
        Patience.NEVER,
        N_("The server does not take this Sieve script."),
        N_("Have what it needs switched on at the server, or have its owner write it anew."),
    ),
    "sieve.full": Entry(
        Radius.MESSAGE,
        Patience.NEVER,
        N_("The server has no room for this Sieve script: it is too long, or there are too many."),
        N_("Raise the server's limits for Sieve scripts, or have the owner delete scripts."),
    ),
    "sieve.unreadable": Entry(
        Radius.MESSAGE,
        Patience.NEVER,
        N_("The server lists this Sieve script and does not hand it out."),
        N_("Show the server's words to whoever runs the server; have the owner copy the script by hand."),
    ),
    "sieve.not_activated": Entry(
        Radius.MESSAGE,
        Patience.NEVER,
        N_("The Sieve script is there, and the server does not make it the active one."),
        N_("Have the owner activate it, and show the server's words to whoever runs the server."),
    ),
    "delivery.refused": Entry(
        Radius.ACCOUNT,
        Patience.NEVER,
        N_("The new server does not take mail for this recipient from here."),
        N_("Allow this machine to deliver to the recipient, or name the server that holds the mailbox."),
    ),
    # files of mail
    "file.missing": Entry(
        Radius.ACCOUNT,
        Patience.NEVER,
        N_("There is no such file or folder of mail on this machine."),
        N_("Check the path, and whether the disk it is on is mounted."),
    ),
    "file.no_permission": Entry(
        Radius.ACCOUNT,
        Patience.NEVER,
        N_("The file or folder of mail may not be read by the user this program runs as."),
        N_("Run the copy as a user who may read it, as a rule root or the mail user."),
    ),
    "file.unreadable": Entry(
        Radius.ACCOUNT,
        Patience.NEVER,
        N_("The file or folder of mail cannot be read: the disk, or what is on it, is damaged."),
        N_("Look at the machine's log for the disk; copy from a backup if need be."),
    ),
    "file.escapes": Entry(
        Radius.FOLDER,
        Patience.NEVER,
        N_("A link leads out of the place where the mail is kept. It was not followed."),
        N_("See who made the link, and why. If it is right, name the place that it leads to."),
    ),
    "file.not_allowed": Entry(
        Radius.CONFIG,
        Patience.NEVER,
        N_("Mail is to be read from a folder of this machine that is not allowed."),
        N_("Have whoever runs this machine name the folder in MAILFERRY_MAIL_FOLDERS, if it is right."),
    ),
    "file.not_mail": Entry(
        Radius.FOLDER,
        Patience.NEVER,
        N_("This is no file or folder of mail in the form that was named."),
        N_("Check the path; name a Maildir as maildir:PATH, and one file, or a tree of files, as mbox:PATH."),
    ),
    "file.changing": Entry(
        Radius.ACCOUNT,
        Patience.NOW,
        N_("Another program changed the file of mail while it was read. It is read again."),
        N_("Nothing to do, unless it repeats: then see which program writes to it without locking it."),
    ),
    # names, programs
    "address.bad": Entry(
        Radius.ACCOUNT,
        Patience.NEVER,
        N_("The name of this account holds characters that are not passed on to other programs."),
        N_("Check the name in the list: line ends, a leading hyphen and wildcards are refused."),
    ),
    "command.missing": Entry(
        Radius.CONFIG,
        Patience.NEVER,
        N_("A program that was named for this step cannot be started."),
        N_("Check that the program is there and may be run by the user this service runs as."),
    ),
    "command.failed": Entry(
        Radius.ACCOUNT,
        Patience.NEVER,
        N_("A program that was named for this step reports a failure."),
        N_("Read the program's words; run it by hand for this account."),
    ),
    "command.slow": Entry(
        Radius.ACCOUNT,
        Patience.LATER,
        N_("A program that was named for this step did not end in its time and was ended."),
        N_("Run it by hand for this account; allow it more time if it needs that."),
    ),
    "connector.invalid": Entry(
        Radius.CONFIG,
        Patience.NEVER,
        N_("The settings of a directory, route, hold or list of sessions cannot be used."),
        N_("Correct them; the words at the end say what is wrong."),
    ),
    # directories and routes
    "classes.unreachable": Entry(
        Radius.MESSAGE,
        Patience.LATER,
        N_("CommuniGate's command line cannot be reached, which tells the classes of folders."),
        N_("Check whether the server is a CommuniGate Pro and its PWD module listens: port 106 is usual."),
    ),
    "classes.lost": Entry(
        Radius.MESSAGE,
        Patience.NOW,
        N_("The line to CommuniGate's command line dropped. A class that was being set may be set or not."),
        N_("Nothing to do by hand yet: the folder is looked at before anything is repeated."),
    ),
    "classes.refused": Entry(
        Radius.MESSAGE,
        Patience.NEVER,
        N_("CommuniGate does not tell or does not set the class of a folder."),
        N_(
            "See what the server says. Whoever opens the mailbox must be let in there, too: the password goes by its "
            "digest (APOP) unless the mailbox itself is opened without encryption."
        ),
    ),
    "directory.unreachable": Entry(
        Radius.SERVER,
        Patience.LATER,
        N_("The directory cannot be reached."),
        N_("Check the directory's name and port, and whether it runs. Nothing was changed."),
    ),
    "directory.lost": Entry(
        Radius.ACCOUNT,
        Patience.LATER,
        N_("The line to the directory dropped during a change. It may have happened or not."),
        N_("Nothing to do by hand yet: the directory is asked before anything is repeated."),
    ),
    "directory.busy": Entry(
        Radius.ACCOUNT,
        Patience.LATER,
        N_("The directory is too busy to answer."),
        N_("Wait. If it lasts, look at the load of the directory."),
    ),
    "directory.refused": Entry(
        Radius.CONFIG,
        Patience.NEVER,
        N_("The directory does not accept our own name or password."),
        N_("Enter them again; check that this user of the directory is not locked."),
    ),
    "directory.no_permission": Entry(
        Radius.CONFIG,
        Patience.NEVER,
        N_("The directory does not let us read or change what this step needs."),
        N_("Give our user of the directory the right to read and write the attributes or columns of this step."),
    ),
    "directory.invalid": Entry(
        Radius.CONFIG,
        Patience.NEVER,
        N_("The directory does not take this request as it is set up."),
        N_("Check the base, the filter, the attributes or the statements of this directory."),
    ),
    "directory.limit": Entry(
        Radius.CONFIG,
        Patience.NEVER,
        N_("The directory handed out only a part of its users."),
        N_("Raise the limit on entries for our user of the directory, or narrow the base or filter."),
    ),
    "directory.missing": Entry(
        Radius.ACCOUNT,
        Patience.NEVER,
        N_("The directory knows nobody with this address."),
        N_("Check the address, and the base or table that is searched."),
    ),
    "directory.ambiguous": Entry(
        Radius.ACCOUNT,
        Patience.NEVER,
        N_("The directory knows more than one user with this address. None was changed."),
        N_("Have the double entry removed, or narrow the base or filter."),
    ),
    "directory.changed": Entry(
        Radius.ACCOUNT,
        Patience.NEVER,
        N_("Somebody else changed this user in the directory meanwhile. Their change was left as it is."),
        N_("See who changes the directory during the move; then decide by hand what the user shall have."),
    ),
    "route.elsewhere": Entry(
        Radius.ACCOUNT,
        Patience.NEVER,
        N_("The directory sends this user to a server that is neither the old nor the new one."),
        N_("Check the user's server in the directory, and the names given for the two servers."),
    ),
    "sessions.unreadable": Entry(
        Radius.CONFIG,
        Patience.NEVER,
        N_("The answer of the program that lists sessions cannot be read."),
        N_("Run the program by hand: it must print a number, or the list that doveadm who prints."),
    ),
    "sessions.stay_open": Entry(
        Radius.ACCOUNT,
        Patience.LATER,
        N_("A session of this user is still open though it was told to end."),
        N_("See on the server what holds it open."),
    ),
    # before the night
    "impact.not_imap": Entry(
        Radius.CONFIG,
        Patience.NEVER,
        N_("What mail programs notice can be seen of IMAP servers alone."),
        N_("Compare the servers by their manuals: names, ports, encryption and user names."),
    ),
    "preflight.no_admin": Entry(
        Radius.CONFIG,
        Patience.NEVER,
        N_("Users are disabled on this server during the move, and nobody is named who may open their mailboxes."),
        N_("Enter an administrator who may sign in for users there, or take the directory out of the campaign."),
    ),
    "preflight.not_proved": Entry(
        Radius.CONFIG,
        Patience.NEVER,
        N_("It is not proved that an administrator can open the mailboxes of users who are disabled."),
        N_("Disable a test account in the directory, and have the campaign's recipe proved on it."),
    ),
    "preflight.not_disabled": Entry(
        Radius.ACCOUNT,
        Patience.NEVER,
        N_("This account is not disabled in the directory, so nothing is proved by opening it."),
        N_("Disable a test account in the directory, and name that."),
    ),
    "preflight.switched_already": Entry(
        Radius.ACCOUNT,
        Patience.NEVER,
        N_("The directory says that the new server serves this user already."),
        N_("See whether somebody has switched the user by hand; if so, state it, or set the directory back."),
    ),
    "acceptance.mail_missing": Entry(
        Radius.ACCOUNT,
        Patience.NEVER,
        N_("The user signs in, and sees less mail than was moved."),
        N_("They may have removed some. Else look at its proof of copy, and at its folders on the new server."),
    ),
    "acceptance.not_read": Entry(
        Radius.ACCOUNT,
        Patience.NEVER,
        N_("Mail is only delivered there: nobody signs in to look at it."),
        N_("Look at the mailbox with a mail program."),
    ),
    "probe.not_arrived": Entry(
        Radius.ACCOUNT,
        Patience.LATER,
        N_("The message was sent, and did not arrive in the time that was waited."),
        N_("Look into the queue and the log of the server. Try again later: what arrives until then is removed."),
    ),
    "probe.filed_elsewhere": Entry(
        Radius.ACCOUNT,
        Patience.NEVER,
        N_("A message that was stored in INBOX did not stay there alone: the server files, copies or drops such mail."),
        N_("Have its filters for stored mail switched off for the move, or old mail ends in other folders."),
    ),
    "probe.not_removable": Entry(
        Radius.ACCOUNT,
        Patience.NEVER,
        N_("No message was sent: this server cannot be told to remove one message and no other, so it would stay."),
        N_("Send a message to this account with a mail program, and look whether it arrives."),
    ),
    "probe.stays": Entry(
        Radius.ACCOUNT,
        Patience.NEVER,
        N_("The message arrived and could not be removed again."),
        N_("Remove it in a mail program: its subject is “Mailferry test message”."),
    ),
    "probe.unclear": Entry(
        Radius.ACCOUNT,
        Patience.LATER,
        N_("The line was lost when the message was handed over: nobody knows whether it was taken."),
        N_("Try again: what arrives until then is removed."),
    ),
    "preflight.no_password": Entry(
        Radius.ACCOUNT,
        Patience.NEVER,
        N_("Nobody can open this mailbox: its password is not known, and no administrator is named for the server."),
        N_("Enter the user's password, or an administrator of the server."),
    ),
    "address.not_allowed": Entry(
        Radius.CONFIG,
        Patience.NEVER,
        N_("A server is to be reached at an address that no administrator has allowed."),
        N_("Have an administrator add the address to the allowed ones, if it is right."),
    ),
    # secrets at rest
    "secret.no_key": Entry(
        Radius.CONFIG,
        Patience.NEVER,
        N_("There is no key to seal or open stored passwords with."),
        N_("Bring back the key file of this installation; a fresh key opens nothing that was sealed before."),
    ),
    "secret.unreadable": Entry(
        Radius.CONFIG,
        Patience.NEVER,
        N_("A stored password cannot be opened: its key is missing, or it was moved here from another place."),
        N_("Bring back the key file of this installation, or enter the password again."),
    ),
    "secret.keys_elsewhere": Entry(
        Radius.CONFIG,
        Patience.NEVER,
        N_("The keys for stored passwords come from the environment and are changed there."),
        N_("Put a fresh key in front of the others there, start again, then seal everything anew."),
    ),
    # the order of the night
    "cutover.past_switch": Entry(
        Radius.ACCOUNT,
        Patience.NEVER,
        N_("This user was switched to the new server already: from there on the only way is forward."),
        N_("Let the steps that are left be tried again."),
    ),
    "cutover.other_steps": Entry(
        Radius.CONFIG,
        Patience.NEVER,
        N_("Something was changed for this user that the present settings do not know how to undo."),
        N_("Set recipe, directories and routes back to what they were when the user's move began."),
    ),
    "cutover.restless": Entry(
        Radius.ACCOUNT,
        Patience.LATER,
        N_("The source goes on changing though the user is locked out."),
        N_("See who still writes to the mailbox: a delivery, a program, a session that was not ended."),
    ),
    "cutover.late": Entry(
        Radius.ACCOUNT,
        Patience.LATER,
        N_("Copying took longer than users may be locked out."),
        N_("Copy the account ahead, or allow it more time; see what slows the servers down."),
    ),
    "cutover.differs": Entry(
        Radius.ACCOUNT,
        Patience.NEVER,
        N_("The comparison of both mailboxes found differences."),
        N_("Look at the differences before anybody is switched."),
    ),
    "back.left_behind": Entry(
        Radius.ACCOUNT,
        Patience.NEVER,
        N_("Some mail that came to the new server since cannot be carried back; it is on the new server alone."),
        N_("The user stays on the new server. Make room on the old one, or keep those messages elsewhere first."),
    ),
    "retirement.admitted": Entry(
        Radius.ACCOUNT,
        Patience.NEVER,
        N_("The user may sign in at the source again, so nothing was removed there."),
        N_("See who opened it. What is worked on is not removed."),
    ),
    "retirement.differs": Entry(
        Radius.ACCOUNT,
        Patience.NEVER,
        N_("Messages on the target are not what was copied there; their originals were kept at the source."),
        N_("See what happened to them before anything more is removed."),
    ),
    "target.live": Entry(
        Radius.ACCOUNT,
        Patience.NEVER,
        N_("The user works on the new server: from there on nothing may be removed or marked there."),
        N_("Nothing was changed. Mail that comes late to the old server is only ever added."),
    ),
    "sign_in.still_admitted": Entry(
        Radius.ACCOUNT,
        Patience.LATER,
        N_("The user was closed in the directory, but the old server still lets them sign in."),
        N_("Look for a cache of sign-ins on the server, or a copy of the directory that is behind."),
    ),
    "sign_in.not_admitted": Entry(
        Radius.ACCOUNT,
        Patience.LATER,
        N_("The user was opened in the directory, but the new server does not let them sign in."),
        N_("Check the user's password on the new server, and whether its copy of the directory is behind."),
    ),
    "publish.behind": Entry(
        Radius.ACCOUNT,
        Patience.LATER,
        N_("A change was published, but the servers do not act on it yet."),
        N_("See whether the copy that the servers read is brought up to date."),
    ),
    "publish.no_proof": Entry(
        Radius.CONFIG,
        Patience.NEVER,
        N_("The mail server takes mail for any name, so asking it does not show whether it knows a user."),
        N_("Let it refuse unknown recipients, or take it out of the servers that are asked."),
    ),
    "populate.in_the_way": Entry(
        Radius.ACCOUNT,
        Patience.NEVER,
        N_("The directory has an entry of this name, and it is not as the new server needs it. It was left so."),
        N_("Complete or remove that entry by hand; the words at the end say what it lacks."),
    ),
    "hold.still_held": Entry(
        Radius.ACCOUNT,
        Patience.LATER,
        N_("Mail that waited for this user was released and still waits."),
        N_("Look at the queue of the mail server: it says why it cannot be delivered."),
    ),
    "hold.not_settled": Entry(
        Radius.ACCOUNT,
        Patience.LATER,
        N_("Mail for this user is held, but some that came before is still on its way to the old server."),
        N_("Look at the queue of the mail server: it says to whom it is delivering."),
    ),
    "hold.unreadable": Entry(
        Radius.CONFIG,
        Patience.NEVER,
        N_("What the mail server tells of its queue cannot be read."),
        N_("Run the program that lists the queue by hand: its words are at the end."),
    ),
    "hold.unfit": Entry(
        Radius.CONFIG,
        Patience.NEVER,
        N_("The program that holds mail says that the mail server is not fit for it."),
        N_("Do what it says; its words are at the end."),
    ),
    "hold.not_asked": Entry(
        Radius.CONFIG,
        Patience.NEVER,
        N_("The mail server does not ask the table of held mail, so that nothing would be held."),
        N_("Add the table to transport_maps of Postfix and reload it."),
    ),
    "hold.not_parked": Entry(
        Radius.CONFIG,
        Patience.NEVER,
        N_("The mail server has no transport named parked that waits."),
        N_("Add the service parked to master.cf of Postfix, name it in defer_transports, and reload it."),
    ),
    "hold.short_lived": Entry(
        Radius.CONFIG,
        Patience.NEVER,
        N_("The mail server returns mail to its senders sooner than it may have to be held."),
        N_("Raise maximal_queue_lifetime and bounce_queue_lifetime of Postfix until the move is over."),
    ),
    "hold.warns": Entry(
        Radius.CONFIG,
        Patience.NEVER,
        N_("The mail server tells senders that their mail is delayed; it would do so for held mail."),
        N_("Set delay_warning_time of Postfix to 0 until the move is over."),
    ),
    "hold.forward_unfit": Entry(
        Radius.ACCOUNT,
        Patience.NEVER,
        N_("The .forward of this user is no plain file of their own, and was left as it is."),
        N_("Look at the file named at the end; make it an ordinary file, or take it away."),
    ),
    "hold.file_in_the_way": Entry(
        Radius.ACCOUNT,
        Patience.NEVER,
        N_("Where mail of this user is to be kept there is no plain file of their own, and it was left as it is."),
        N_("Look whose the file named at the end is, and whether it has a second name; move it away."),
    ),
    "hold.folder_unfit": Entry(
        Radius.CONFIG,
        Patience.NEVER,
        N_("New mail cannot be held by .forward files as things are on this machine or on its mail server."),
        N_("Put right what the words at the end name."),
    ),
    "hold.kept_in_file": Entry(
        Radius.ACCOUNT,
        Patience.NEVER,
        N_("Mail that was held for this user is in a file, and nothing here can deliver it to where it belongs now."),
        N_(
            "Copy the file named at the end into the mailbox: mailferry copy mbox:FILE TARGET --set-aside, which "
            "empties it and keeps a copy beside it. Then repeat what failed."
        ),
    ),
    "hold.half_put_back": Entry(
        Radius.ACCOUNT,
        Patience.NEVER,
        N_("Held mail was being put back into the old mailbox, the program ended, and one of both has changed since."),
        N_("Compare the held file with the end of the old mailbox by hand, then remove the note named at the end."),
    ),
    "hold.not_all_imported": Entry(
        Radius.ACCOUNT,
        Patience.LATER,
        N_("Some of the mail that was held for this user is not on the new server. The file keeps it."),
        N_("Look at why the new server does not take it; the user works on the new server meanwhile."),
    ),
    "hold.restless": Entry(
        Radius.ACCOUNT,
        Patience.LATER,
        N_(
            "Mail goes on coming into the file of held mail, faster than it can be copied and compared. What came "
            "before is on the new server, and the file keeps all of it."
        ),
        N_("See what still delivers into that file: a mail server that reads an old .forward, or a program."),
    ),
    # the rescue folder
    "rescue.not_a_folder": Entry(
        Radius.CONFIG,
        Patience.NEVER,
        N_("This is not a rescue folder."),
        N_("Name the folder of one batch: it holds rescue.json and a folder accounts."),
    ),
    "rescue.newer": Entry(
        Radius.CONFIG,
        Patience.NEVER,
        N_("The rescue folder was written by another version of this program. It was left as it is."),
        N_("Use that version."),
    ),
    "rescue.wrong_key": Entry(
        Radius.CONFIG,
        Patience.NEVER,
        N_("The key does not open the passwords in the rescue folder."),
        N_("Name the key file that the installation used when the folder was written."),
    ),
    "rescue.damaged": Entry(
        Radius.ACCOUNT,
        Patience.NEVER,
        N_("A file of the rescue folder cannot be read."),
        N_("Look at the file named at the end; put the account on its side by hand."),
    ),
    "rescue.unwritable": Entry(
        Radius.CONFIG,
        Patience.LATER,
        N_("The rescue folder cannot be written. Nobody is locked out or switched before it can."),
        N_("Check the disk and the permissions of the folder."),
    ),
    "rescue.busy": Entry(
        Radius.CONFIG,
        Patience.LATER,
        N_("Somebody else is working with this rescue folder."),
        N_("Wait for the other rescue to end, or stop it."),
    ),
    "rescue.differs": Entry(
        Radius.ACCOUNT,
        Patience.NEVER,
        N_("The rescue folder knows more of this account than the database: the database is probably from a backup."),
        N_("Let the account be taken over from the rescue folder before it goes on."),
    ),
    "rescue.contradiction": Entry(
        Radius.ACCOUNT,
        Patience.NEVER,
        N_("This user was switched to the new server, but the directory says otherwise now. Nothing was touched."),
        N_("See who changed it; then enable the user on the side that has the mail."),
    ),
    # the ledger
    "ledger.other_pair": Entry(
        Radius.CONFIG,
        Patience.NEVER,
        N_("This ledger belongs to another pair of mailboxes."),
        N_("Name another ledger file, or the two mailboxes it was made for."),
    ),
    "ledger.keeps_no_names": Entry(
        Radius.CONFIG,
        Patience.NEVER,
        N_("A mailbox that is read by POP3 cannot be moved with this kind of ledger."),
        N_("Read the mailbox by IMAP, or copy it with the command mailferry copy."),
    ),
    "ledger.keeps_no_scripts": Entry(
        Radius.CONFIG,
        Patience.NEVER,
        N_("Sieve scripts cannot be copied here: this ledger does not remember them."),
        N_("Copy them with mailferry copy or mailferry move-accounts, and their ledger file."),
    ),
    "folder.no_shared_root": Entry(
        Radius.ACCOUNT,
        Patience.NEVER,
        N_("No shared folders are seen there."),
        N_("Name the root as the server does, with its separator at the end, and sign in as somebody who sees them."),
    ),
    "place.occupied": Entry(
        Radius.ACCOUNT,
        Patience.NEVER,
        N_("The place of the mailbox holds other mail already. It was left as it is."),
        N_("Import the old file by IMAP: mailferry copy mbox:OLD imaps://USER@HOST finds what is there already."),
    ),
    "place.of_another": Entry(
        Radius.ACCOUNT,
        Patience.NEVER,
        N_("The file in the place of the mailbox belongs to somebody else. It was left as it is."),
        N_("See whose file it is: somebody may have laid it there. Then remove it, or name another owner."),
    ),
    "removal.live_target": Entry(
        Radius.ACCOUNT,
        Patience.NEVER,
        N_("Nothing was removed: this mailbox is itself the target of a copy, so people work in it."),
        N_("Leave its mail there. Who knows that the other copy is long over removes the mail by hand."),
    ),
    "removal.not_all_there": Entry(
        Radius.ACCOUNT,
        Patience.NEVER,
        N_("The mail file was left as it is: not all that it holds is in the new mailbox."),
        N_("What is new, marked as deleted, repaired, or left out by dates and sizes is in this file only."),
    ),
    "removal.not_offered": Entry(
        Radius.ACCOUNT,
        Patience.NEVER,
        N_("Nothing was removed: this server cannot be told to remove these messages and no others."),
        N_("By IMAP the server must offer UIDPLUS, by POP3 UIDL. Leave the old mail there, or remove it by hand."),
    ),
    "removal.same_mailbox": Entry(
        Radius.ACCOUNT,
        Patience.NEVER,
        N_("Nothing was removed: both sides seem to be one and the same mailbox."),
        N_("Look whether both names lead to one server. Its mail is there once, not twice."),
    ),
    "removal.unproved": Entry(
        Radius.ACCOUNT,
        Patience.NEVER,
        N_("Nothing was removed: where mail is only delivered, nothing proves that it is there."),
        N_("Copy to a mailbox that can be read back, by IMAP."),
    ),
    "removal.unfinished": Entry(
        Radius.ACCOUNT,
        Patience.LATER,
        N_("Nothing was removed: the copy of this account is not finished, or its check found differences."),
        N_("Repeat the command when the copy is complete."),
    ),
    "ledger.keeps_no_removals": Entry(
        Radius.CONFIG,
        Patience.NEVER,
        N_("With this kind of ledger nothing can be removed from the old mailbox."),
        N_("Use the command mailferry copy, with a ledger file."),
    ),
    "ledger.busy": Entry(
        Radius.ACCOUNT,
        Patience.LATER,
        N_("This account is being moved already."),
        N_("Wait for the other run to end, or stop it."),
    ),
    "ledger.not_a_ledger": Entry(
        Radius.CONFIG,
        Patience.NEVER,
        N_("The file named as ledger is not one, or is empty. It was left as it is."),
        N_("Name the right file, or one that does not exist yet."),
    ),
    "ledger.newer": Entry(
        Radius.CONFIG,
        Patience.NEVER,
        N_("The ledger was written by a newer version of this program. It was left as it is."),
        N_("Use that version, or name another ledger file."),
    ),
    "ledger.damaged": Entry(
        Radius.CONFIG,
        Patience.NEVER,
        N_("The ledger is damaged."),
        N_("Bring back a copy of it, or name a new file: the mail is then matched by content, and nothing is doubled."),
    ),
    "ledger.unproved": Entry(
        Radius.ACCOUNT,
        Patience.NEVER,
        N_("The records of this account's copy contradict one another, so nothing proves that all of it is there."),
        N_("Keep both mailboxes. Bring the ledger back from a backup, or copy the account anew."),
    ),
    "ledger.full": Entry(
        Radius.CONFIG,
        Patience.LATER,
        N_("The disk that holds the ledger is full. What is recorded is safe."),
        N_("Make room on that disk; the copy then goes on."),
    ),
    "ledger.unwritable": Entry(
        Radius.CONFIG,
        Patience.NEVER,
        N_("The ledger cannot be opened or written."),
        N_("Check the permissions and the disk of the ledger file and of the folder it is in."),
    ),
}


class MigratorError(Exception):
    """Any failure of the engine.

    ``code`` is a key of CATALOGUE; ``reply`` the server's own words (never mail content, never a secret);
    ``retry_after`` seconds, where a server named them; ``params`` what the sentence needs.
    """

    def __init__(
        self,
        code: str,
        *,
        reply: str = "",
        side: Side | None = None,
        radius: Radius | None = None,
        patience: Patience | None = None,
        retry_after: float | None = None,
        **params: str | int,
    ) -> None:
        entry = CATALOGUE[code]
        super().__init__(code, reply)
        self.code = code
        self.reply = reply
        self.side = side
        self.radius = radius or entry.radius
        self.patience = patience or entry.patience
        self.retry_after = retry_after
        self.params = params

    def say(self, reply: str) -> None:
        """Put other words in place of the server's, for example those without a secret."""
        self.reply = reply
        self.args = (self.code, reply)

    @property
    def sentence(self) -> str:
        """What happened, in plain words (a message id)."""
        return CATALOGUE[self.code].sentence

    @property
    def hint(self) -> str:
        """What to do next (a message id)."""
        return CATALOGUE[self.code].next_step

    def __str__(self) -> str:
        return f"{self.code}: {self.sentence}" + (f" [{self.reply}]" if self.reply else "")


class OutcomeUnknown(MigratorError):
    """An effect was begun and its answer lost. Never repeat it: look first."""


class Stopped(Exception):
    """The caller asked to stop; everything confirmed is recorded."""
