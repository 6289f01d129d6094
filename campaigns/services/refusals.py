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
    "account.reason_missing": N_("A decision by hand needs its reason."),
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
    "campaign.two_servers": N_("Source and target are the same server."),
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
