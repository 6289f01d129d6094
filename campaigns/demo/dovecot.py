"""Private Dovecots (2.3), started without root and without touching the one that may run on this machine.

Beyond the packages dovecot-core and dovecot-imapd nothing is needed: passwords are asked for by ``checkpassword``, so
that the directory rules at once, and mailboxes are told by a file. The administrator signs in for everybody.
"""

from __future__ import annotations

import grp
import os
import pwd
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from campaigns.demo import sign_in
from campaigns.demo.servers import ADMIN, HOST, Plan, Running

_PLACES: Final = "/usr/sbin:/usr/local/sbin:/usr/local/bin:/usr/bin"
_CONFIG: Final = """\
protocols = imap
instance_name = {folder.name}
base_dir = {folder}/run
state_dir = {folder}/state
listen = {host}
log_path = {folder}/dovecot.log
ssl = no
disable_plaintext_auth = no
auth_mechanisms = plain login
auth_failure_delay = 0
login_trusted_networks = {host}
default_internal_user = {internal}
default_internal_group = {internal_group}
default_login_user = {login}
first_valid_uid = 1
mail_uid = {mail}
mail_gid = {mail_group}
mail_max_userip_connections = 100
service imap-login {{
  chroot =
  service_count = 0
  inet_listener imap {{
    port = {port}
  }}
  inet_listener imaps {{
    port = 0
  }}
}}
service anvil {{
  chroot =
  # one wrong password would delay every later sign-in from this address
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
service stats {{
  chroot =
}}
service auth {{
  user = {auth}
  unix_listener auth-userdb {{
    mode = 0666
  }}
}}
mail_home = {folder}/mail/%Lu
mail_location = {location}
mail_plugins = quota
namespace inbox {{
  inbox = yes
  separator = {separator}
  mailbox Sent {{
    special_use = \\Sent
    auto = subscribe
  }}
  mailbox Drafts {{
    special_use = \\Drafts
    auto = create
  }}
  mailbox Trash {{
    special_use = \\Trash
    auto = create
  }}
  mailbox Junk {{
    special_use = \\Junk
    auto = create
  }}
}}
passdb {{
  driver = passwd-file
  master = yes
  args = scheme=PLAIN username_format=%u {folder}/administrators
}}
passdb {{
  driver = checkpassword
  args = {python} -I -S {script} {directory} {name}
}}
userdb {{
  driver = passwd-file
  args = username_format=%Lu {folder}/mailboxes
  # checkpassword brings the ids of whoever asked
  override_fields = uid={mail} gid={mail_group} home={folder}/mail/%Lu
}}
plugin {{
  quota = count:User quota
  quota_vsizes = yes
}}
protocol imap {{
  mail_plugins = $mail_plugins imap_quota
}}
"""


def why_not() -> str:
    """Return why this machine cannot run it, "" when it can."""
    if not (_program("dovecot") and _program("doveadm")):
        return "Dovecot is not installed"
    version = subprocess.run([_program("dovecot"), "--version"], capture_output=True, text=True, timeout=20).stdout
    if version.startswith("2.3."):
        return ""
    return f"The demo knows Dovecot 2.3, and here is {version.partition(' ')[0].strip() or 'another'}"


def prepare(plan: Plan, rooms: Mapping[str, int]) -> Running:
    """Write what a server needs to start, and return it. Mailboxes lie in ``mailbox`` and belong to ``give``."""
    for name in ("mail", "state"):
        (plan.folder / name).mkdir(parents=True, exist_ok=True)
    plan.folder.chmod(0o755)
    script = plan.folder / "sign_in.py"
    shutil.copyfile(sign_in.__file__, script)
    # A link, because the words of a command are parted at blanks, and somebody's folders may have some.
    (plan.folder / "python").symlink_to(Path(sys.executable).resolve())
    administrators = plan.folder / "administrators"
    administrators.touch(0o600)
    administrators.write_text(f"{ADMIN}:{{PLAIN}}{plan.admin_password}::::::\n")
    set_rooms(plan.folder, rooms if plan.is_new else dict.fromkeys(rooms, 0))
    (plan.folder / "dovecot.conf").write_text(_config(plan, script))
    argv = [_program("dovecot"), "-F", "-c", str(plan.folder / "dovecot.conf")]
    return Running("Dovecot", argv, plan.folder, plan.port)


def set_rooms(folder: Path, rooms: Mapping[str, int]) -> None:
    """Say how much room mailboxes have, in bytes, 0 for as much as there is; new sign-ins find it so."""
    draft = folder / "mailboxes.new"
    draft.write_text("".join(_mailbox_row(login, room) for login, room in rooms.items()))
    draft.chmod(0o644)
    draft.replace(folder / "mailboxes")


def is_in(folder: Path) -> bool:
    """True when the server of this folder is a Dovecot."""
    return (folder / "dovecot.conf").is_file()


def mailbox(folder: Path, login: str) -> Path:
    """Return where the Maildir of somebody is."""
    return folder / "mail" / login / "Maildir"


def give(folder: Path) -> None:
    """Hand all mailboxes to the user whose they shall be; only root may and must."""
    if os.geteuid() == 0:
        subprocess.run(["chown", "-R", f"{_mail_user()}:{_group(_mail_user())}", str(folder / "mail")], check=True)


def doveadm(folder: Path) -> list[str]:
    """Return the words that run doveadm on the server in ``folder``."""
    return [_program("doveadm"), "-c", str(folder / "dovecot.conf")]


def _mailbox_row(login: str, room_bytes: int) -> str:
    rule = f"userdb_quota_rule=*:storage={room_bytes}B" if room_bytes else ""
    return f"{login}:::::::{rule}\n"


def _config(plan: Plan, script: Path) -> str:
    is_root = os.geteuid() == 0
    internal = "dovecot" if is_root else _mail_user()
    return _CONFIG.format(
        folder=plan.folder,
        host=HOST,
        port=plan.port,
        internal=internal,
        internal_group=_group(internal),
        login="dovenull" if is_root else internal,
        auth="root" if is_root else internal,
        mail=_mail_user(),
        mail_group=_group(_mail_user()),
        # on the new one folders are directories, so that names may hold dots, and three names are its own
        location="maildir:~/Maildir:LAYOUT=fs" if plan.is_new else "maildir:~/Maildir",
        separator="/" if plan.is_new else ".",
        python=plan.folder / "python",
        script=script,
        directory=plan.directory,
        name=plan.host,
    )


def _program(name: str) -> str:
    return shutil.which(name) or shutil.which(name, path=_PLACES) or ""


def _mail_user() -> str:
    return "mail" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name


def _group(user: str) -> str:
    return grp.getgrgid(pwd.getpwnam(user).pw_gid).gr_name
