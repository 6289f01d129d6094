"""What the panel does not do when it is asked, and the sentence for it."""

from __future__ import annotations

from typing import Final

from migrator.errors import N_

SENTENCES: Final = {
    "account.busy": N_("Somebody works on this account just now, or it has changed meanwhile. Look again."),
    "account.cannot_stop": N_("This account cannot be stopped where it is."),
    "account.past_switch": N_("The user is on the target already, or may be: from here there is only forward."),
    "account.not_stopped": N_("This account is not stopped."),
    "account.cannot_exclude": N_("Only accounts that wait, are ready or have failed can be excluded."),
    "account.not_excluded": N_("This account is not excluded."),
    "account.nothing_to_vouch": N_("Nobody doubts whose mailboxes these are."),
    "account.nothing_to_retry": N_("There is nothing to try again with this account."),
    "account.same_password": N_("The server has refused this password. Enter another one, then try again."),
    "account.nothing_to_undo": N_("Nothing was done to this account that could be rolled back."),
    "account.no_decision_needed": N_("This account needs no decision."),
    "account.owner_not_source": N_("It is not proved that the user is on the source: rolling back could lose mail."),
    "account.mail_held": N_(
        "New mail for this person is still held. Let the move go forward, or back, first: then it flows."
    ),
    "account.reason_missing": N_("A decision by hand needs its reason."),
    "alarm.over": N_("This alarm is over, or somebody has seen it already."),
    "alarm.wrong_code": N_("That is not the code which the message brought."),
    "alarm.name_taken": N_("There is a way out of this name already."),
    "batch.no_go": N_("Something that is needed before anybody says go is not well. Look at what is marked."),
    "return.not_moved": N_("Only who works on the new server can be taken back from there."),
    "return.retired": N_("Mail of this account was removed from the old server: there is no way back."),
    "return.arrived_first": N_(
        "With this method new mail went to the new server from the start: there is no way back to the old one."
    ),
    "return.no_imap": N_("Mail can be carried back only where both servers are read and written by IMAP."),
    "return.nobody": N_("Nobody of this batch works on the new server: there is nobody to take back."),
    "return.first_few": N_("Take the first few back, and see that all is well with them. Then the others can follow."),
    "return.open": N_("The way back of the first few is not over yet. The others can follow then."),
    "return.number": N_("The first few are between 1 and 20."),
    "retirement.reason": N_("Say why the mail is to be removed from the old server."),
    "retirement.days": N_("Choose between 1 and 365 days."),
    "retirement.nobody": N_("Nobody of this batch has moved and still has mail on the old server."),
    "retirement.asked": N_("Somebody has asked for that already."),
    "retirement.same_person": N_("Somebody else must approve what you asked for: mail that was removed is gone."),
    "retirement.another": N_("Meanwhile this was withdrawn and asked for anew. Look at it again."),
    "retirement.not_open": N_("Meanwhile this was approved or withdrawn. Look again."),
    "batch.started": N_("This batch has been started already."),
    "batch.gone": N_("Somebody has said go already."),
    "batch.not_gone": N_("Nobody has said go."),
    "batch.empty": N_("There is no account in this batch."),
    "batch.size": N_("A batch holds at least one account."),
    "batch.too_late": N_(
        "With so many days between batches the last ones come after all calendars. Make batches larger, or days fewer."
    ),
    "batch.window": N_("The window must end after it begins."),
    "batch.no_canary": N_("This batch does not wait for its first accounts."),
    "batch.not_stepwise": N_("This batch does not wait for a word between its steps."),
    "batch.step_under_way": N_("Not everybody has taken the present step, or the batch is paused. Look again."),
    "batch.modes": N_("Step by step goes only with moving together."),
    "batch.mode_under_way": N_("People of this batch are being moved just now: how they move stays until then."),
    "batch.limit": N_("This limit is out of its range."),
    "call.empty": N_("Write in one line what the call was about."),
    "call.long": N_("One line of at most 200 characters is enough for a call."),
    "call.told": N_("The operator has been told about this mailbox already, and has not looked yet."),
    "call.not_told": N_("Nobody waits for a look at this mailbox any more."),
    "campaign.under_way": N_(
        "People are being moved just now, or wait for a decision: the method and its connections stay until then."
    ),
    "campaign.closed": N_("This campaign is closed."),
    "campaign.name_taken": N_("There is a campaign of this name already."),
    "campaign.no_recipe": N_("There is no such recipe."),
    "campaign.bad_steps": N_("These steps, in this order, make no method."),
    "campaign.bad_services": N_("Who is moved must be kept from reading at least, or the copy would never be whole."),
    "campaign.two_servers": N_("Source and target are the same server."),
    "campaign.not_read": N_("Mail cannot be read from such a server. Choose another one as the old server."),
    "campaign.not_written": N_(
        "Mail cannot be brought to a server of this kind. Choose another one as the new server."
    ),
    "copying.copied": N_(
        "Mail was copied already, or is just now, to where it belongs without this prefix: it cannot be changed any "
        "more."
    ),
    "copying.home": N_(
        "This opens somebody else's mailbox. Here each mailbox is opened by its person, or by an administrator of the "
        "server."
    ),
    "copying.braces": N_("Only {user} may stand in braces, and only on the new server: it is the person's name there."),
    "copying.many": N_("These are too many for one campaign."),
    "copying.text": N_("This holds characters that no name has, or is too long."),
    "copying.unknown": N_("One of these is not known here."),
    "copying.number": N_("This number is out of its range."),
    "copying.day": N_("Enter a day, as 2024-12-31."),
    "copying.days": N_("The second day must come after the first, or nothing would be copied."),
    "copying.sizes": N_("The biggest size is below the smallest, so nothing would be copied."),
    "copying.two_patiences": N_("Either a number of seconds, or an hour for slow servers: not both."),
    "copying.trials_busy": N_("Others try their rules just now. Try again in a moment."),
    "copying.meanwhile": N_(
        "Somebody changed these options after you had opened this page. Save again to put yours in their place, or "
        "open the page anew to see theirs."
    ),
    "folder_rule.folder": N_("Name the folder that the rule is for."),
    "folder_rule.name": N_("Give the folder a name for the target, its levels apart by /, none of them empty."),
    "folder_rule.inbox": N_("INBOX on the target belongs to the INBOX of the source. Choose another name."),
    "folder_rule.same_name": N_("That is the name it has. Choose another one."),
    "folder_rule.copied": N_(
        "This folder is on the target already and keeps its name there. It can be left out still."
    ),
    "folder_rule.none": N_("There is no rule for this folder."),
    "password.empty": N_("Enter a password."),
    "password.same": N_("That is the password which is stored already. Enter another one."),
    "demo.not_running": N_("Only the demo can do this, and while its servers run."),
    "server.name_taken": N_("There is a server of this name already."),
    "server.authorities": N_("These are no certificates in PEM: they begin with -----BEGIN CERTIFICATE-----."),
    "server.password_again": N_("Enter the password again: the stored one was meant for another address."),
    "server.login_missing": N_("Name the administrator whose password this is."),
    "server.password_missing": N_("Enter the administrator's password: none is stored."),
    "server.kind": N_("There is no such kind of server."),
    "server.place": N_("Enter a host and a port, as sieve.example.org:4190, or one of both, as :4190."),
    "server.access_by_imap": N_("This way in is for IMAP. By POP3 an administrator names the person in the sign-in."),
    "server.path_of_nobody": N_("Say by a * where each person's name stands in the path, for example */Maildir."),
    "server.path_not_allowed": N_("This is not below a folder that whoever runs this machine allows for mail."),
    "server.access": N_("The name holds {user} and {admin}, and no other braces: for example {user}*{admin}."),
    "server.product": N_("That is no product that is known here by name."),
    "server.application_missing": N_("Name the application or service account that asks for tokens."),
    "server.token_endpoint": N_("Enter the whole address at which tokens are asked for; it begins with https://."),
    "server.key": N_("This is no private key. Paste the whole content of the service account's key file."),
    "certificate.not_shown": N_(
        "The last test did not show this certificate. Test the connection again, and look at what it shows."
    ),
    "server.host_known": N_(
        "Mail of accounts was copied under this name already, and what was copied is known by it. "
        "Set the other machine up as a server of its own."
    ),
    "connector.name_taken": N_("There is a connection of this name already."),
    "connector.password_again": N_("Enter the password again: the stored one was meant for another address."),
    "address.host": N_(
        "Enter the name of a host, a number, or a network such as 10.1.0.0/16: no port and nothing like https://."
    ),
    "address.everything": N_("This network is the whole Internet. Allow the hosts that you mean."),
    "address.there": N_("This address is allowed already."),
    "address.in_use": N_("A server or a connection points there. Change that first, then take the address out."),
    "by_hand.no_step": N_("This step is not one that a person does. The method was changed meanwhile: look again."),
    "by_hand.no_check": N_("Nothing here can see whether this step was done. Record it by hand."),
    "by_hand.reason": N_("Write in at most 500 characters what was done, and how you know."),
    "by_hand.confirmed": N_("This step is confirmed already."),
    "by_hand.not_confirmed": N_("Nobody has confirmed this step."),
    "places.place": N_("Enter a host and a port, as mail.example.org:993, or one of both, as :993."),
    "places.not_allowed": N_("This address is not allowed. An administrator can allow it, under Servers."),
    "places.name": N_(
        "Write names of hosts and domains one a line, as example.org: no port and nothing like https://."
    ),
    "places.many": N_("These are too many for one campaign."),
    "places.spf": N_("Write one term a line, as ip4:192.0.2.7 or include:_spf.example.org."),
    "places.queue": N_("There is no such program. Choose one of the list."),
    "places.queue_of_administrators": N_("Only an administrator says by which program the old server's queue is seen."),
    "places.ttl": N_("Enter seconds from 1 to 604800."),
    "probe.of_administrators": N_("Only an administrator has an account send a message to itself."),
    "probe.only_imap": N_("A message can only be seen to arrive where mail is read by IMAP."),
    "probe.somebodys": N_(
        "This account is on a list of people who move. Take one that is there for tests, or say that its owner knows."
    ),
    "room.words": N_("Say what you saw in one line of up to 200 characters, without tabs or other control characters."),
    "clients.none": N_(
        "Nobody signs in in this log. It may be of another kind, compressed, or of a day on which nobody came."
    ),
    "clients.many": N_(
        "This holds more names and addresses than any log of sign-ins. Look whether it is the right file."
    ),
    "clients.ours": N_("Write numbers of machines, one a line, 100 at most, as 192.0.2.7 or 2001:db8::7."),
    "staff.name": N_("A name to sign in with has letters, digits and @ . + - _ only."),
    "staff.name_taken": N_("Somebody signs in with this name already."),
    "staff.no_role": N_("Choose at least one role. To shut somebody out, close the login."),
    "staff.last_administrator": N_(
        "This is the only administrator who can sign in. Make another one first; they must have chosen their password."
    ),
    "staff.closed": N_("This login is closed. Open it first."),
    "staff.wrong_password": N_("That is not your password now."),
    "campaign.unfinished": N_("Accounts of this campaign are being worked on, or wait for a decision."),
}


class Refused(Exception):
    """Somebody asked for what cannot be done now. ``code`` is a key of SENTENCES; ``field``, what they gave amiss."""

    def __init__(self, code: str, field: str = "") -> None:
        super().__init__(code)
        self.code = code
        self.field = field
        self.sentence = SENTENCES[code]
