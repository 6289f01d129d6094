"""Which grants of the source's folders go to the target: once for each folder, when it is first met.

Later passes leave them alone: on the target their owner decides, and a delta cannot tell an old grant from a new wish.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from migrator.events import EventSink, GrantLost
from migrator.mail import Folder, Grant, Grantee, LostGrant
from migrator.stores.base import SourceStore, Trouble
from migrator.transfer.folder_pass import FolderPass
from migrator.transfer.plan import CopyPolicy, Mode
from migrator.transfer.terms import PassMemory, Terms

MOST_TRIES: Final = 2
RIGHTS: Final = "lrswipkxtea"  # RFC 4314 §2.1, in its order
Given = dict[bytes, Sequence[Grant]]


def is_due(folder: FolderPass, policy: CopyPolicy) -> bool:
    """True when the grants of ``folder`` have not been copied yet, and may be: a live target is not touched."""
    if policy.name_of is None:
        return False
    return is_new(folder, policy)


def is_new(folder: FolderPass, policy: CopyPolicy) -> bool:
    """True in the first pass over ``folder``, until mail goes into it; in a live target only where it makes it."""
    # an intent is noted after the folder was opened, and its grants given
    if folder.state.is_complete or folder.state.intent_uidnext is not None:
        return False
    return policy.mode is Mode.STAGE or folder.listed_target is None


def collect(source: SourceStore, folders: Sequence[FolderPass], terms: Terms, memory: PassMemory) -> Given:
    """Return the grants that each folder's target shall get, by the key of the folder. Tells of those that have none.

    One send to the source, and none where no grants are due. Raises ``MigratorError`` when the line is lost; where
    that happens again and again, the mail goes on without grants: servers hang up after some refusals.
    """
    policy = terms.policy
    due = [folder for folder in folders if is_due(folder, policy)]
    if policy.name_of is None or not due or not source.features.acl:
        return {}
    if memory.grant_tries >= MOST_TRIES:
        for folder in due:
            terms.sink.emit(GrantLost(folder=folder.source.path.display, who="", rights=""))
        return {}
    memory.grant_tries += 1
    found: dict[bytes, Sequence[Grant]] = {}
    for folder, answer in zip(due, source.grants([folder.source.path for folder in due]), strict=True):
        name = folder.source.path.display
        if isinstance(answer, Trouble):
            terms.sink.emit(GrantLost(folder=name, who="", rights="", reply=answer.error.reply))
        else:
            found[folder.key] = _merged(_renamed(answer, policy, folder, terms.sink))
    return found


def _renamed(grants: Sequence[Grant], policy: CopyPolicy, folder: FolderPass, sink: EventSink) -> Iterator[Grant]:
    renamed = [(grant, _on_target(grant, policy)) for grant in grants]
    # a denial that has nobody to meet: what it takes from cannot be given either
    is_unsafe = any(grant.is_denial and new is None for grant, new in renamed)
    for grant, new in renamed:
        if new is None or is_unsafe:
            tell(folder.source, [LostGrant(grant)], sink)
        else:
            yield new


def _on_target(grant: Grant, policy: CopyPolicy) -> Grant | None:
    """Return ``grant`` as the target calls the grantee, None for one nobody there is."""
    if policy.grantees is not None and policy.grantees.knows(grant):
        return policy.grantees.of(grant)
    if grant.grantee is not Grantee.USER or policy.name_of is None:
        return grant
    name = policy.name_of(grant.name)
    return None if name is None else grant._replace(name=name)


def _merged(grants: Iterable[Grant]) -> list[Grant]:
    """Put together what several identifiers of the source have that are one on the target: SETACL replaces."""
    merged: dict[tuple[Grantee, str, bool], Grant] = {}
    for grant in grants:
        key = (grant.grantee, grant.name, grant.is_denial)
        rights = grant.rights + (merged[key].rights if key in merged else "")
        merged[key] = grant._replace(rights="".join(sorted(set(rights), key=RIGHTS.index)))
    return list(merged.values())


def tell(source: Folder, lost: Sequence[LostGrant], sink: EventSink) -> None:
    """Tell of grants that the target folder did not get."""
    for grant, reply in lost:
        sink.emit(
            GrantLost(
                folder=source.path.display,
                who=grant.who,
                rights=grant.rights,
                is_denial=grant.is_denial,
                reply=reply,
            )
        )
