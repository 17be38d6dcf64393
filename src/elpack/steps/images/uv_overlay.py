"""What an image of flavour `uv` holds beside the tree: the release's own files, the accounts, the volume's folder."""

from __future__ import annotations

import stat
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from elpack.errors import ImageError, Problem
from elpack.steps.images.tars import Member

if TYPE_CHECKING:
    from elpack.config import Release
    from elpack.images.model import Images
    from elpack.workspace import Workspace

_DOCUMENTATION = ("/usr/share/man/", "/usr/share/doc/", "/usr/share/info/")
_NOBODY = 65534


def overlay(release: Release, images: Images, workspace: Workspace, when: int) -> tuple[Member, ...]:
    """Return the members of the overlay. `when` is their time in seconds since 1970.

    /etc/passwd and /etc/group take the place of the base's: root, nobody and the image's own user are in them.
    Documentation is left out, as dnf leaves it out of images. Raises `ImageError` for a file of an unknown group.
    """
    name, group = accounts_of(release)
    number = images.user
    groups = {"root": 0, group: number}
    members: dict[str, Member] = {}
    problems = []
    for asset in release.assets:
        if asset.destination.startswith(_DOCUMENTATION):
            continue
        if asset.group not in groups:
            what = f"{asset.destination} belongs to group {asset.group}, which images do not have"
            problems.append(Problem(what, "elpack.toml: asset", fix=f"one of: {', '.join(groups)}"))
            continue
        path = asset.destination.lstrip("/")
        members[path] = Member(
            path, stat.S_IFREG | asset.mode, when, gid=groups[asset.group], source=workspace.home / asset.source
        )
    if problems:
        raise ImageError(*problems)
    passwd = f"root:x:0:0:root:/root:/sbin/nologin\n{name}:x:{number}:{number}:{name}:{images.data}:/sbin/nologin\n"
    passwd += f"nobody:x:{_NOBODY}:{_NOBODY}:nobody:/:/sbin/nologin\n"
    known = f"root:x:0:\n{group}:x:{number}:\nnobody:x:{_NOBODY}:\n"
    for file, text in (("passwd", passwd), ("group", known)):
        members[f"etc/{file}"] = Member(f"etc/{file}", stat.S_IFREG | 0o644, when, content=text.encode())
    for path in list(members):
        for parent in PurePosixPath(path).parents:
            # the folders of the target's own stay as the base has them: a layer changes modes of what it names
            if len(parent.parts) > 1 and parent.parts[0] == "etc":
                members.setdefault(str(parent), Member(str(parent), stat.S_IFDIR | 0o755, when))
    data = images.data.strip("/")
    members[data] = Member(data, stat.S_IFDIR | 0o750, when, uid=number, gid=number)
    return tuple(members.values())


def accounts_of(release: Release) -> tuple[str, str]:
    """Return the names of the images' user and of its group: the service's, or the application's."""
    if release.service:
        return release.service.user, release.service.effective_group
    return str(release.application.name), str(release.application.name)
