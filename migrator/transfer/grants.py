"""Which grants of the source's folders go to the target: once for each folder, when it is first met.

Later passes leave them alone: on the target their owner decides, and a delta cannot tell an old grant from a new wish.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final

from migrator.events import EventSink, GrantLost
from migrator.mail import Folder, Grant, Grantee, LostGrant
from migrator.stores.base import SourceStore, Trouble
from migrator.transfer.folder_pass import FolderPass
from migrator.transfer.plan import CopyPolicy, Mode
from migrator.transfer.terms import PassMemory, Terms

MOST_TRIES: Final = 2
Given = dict[bytes, Sequence[Grant]]


def is_due(folder: FolderPass, policy: CopyPolicy) -> bool:
    """True when the grants of ``folder`` have not been copied yet, and may be: a live target is not touched."""
    # an intent is noted after the folder was opened, and its grants given
    is_new = not folder.state.is_complete and folder.state.intent_uidnext is None
    if policy.name_of is None or not is_new:
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
            found[folder.key] = list(_renamed(answer, policy.name_of, folder, terms.sink))
    return found


def _renamed(
    grants: Sequence[Grant], name_of: Callable[[str], str | None], folder: FolderPass, sink: EventSink
) -> Iterator[Grant]:
    renamed = [(grant, name_of(grant.name) if grant.grantee is Grantee.USER else grant.name) for grant in grants]
    # a denial that has nobody to meet: what it takes from cannot be given either
    is_unsafe = any(grant.is_denial and name is None for grant, name in renamed)
    for grant, name in renamed:
        if name is None or is_unsafe:
            tell(folder.source, [LostGrant(grant)], sink)
        else:
            yield grant._replace(name=name)


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
