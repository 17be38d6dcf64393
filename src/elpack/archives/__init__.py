"""Reads wheels and sdists without unpacking or running them. Every archive is hostile until it has been checked."""

from __future__ import annotations

from elpack.archives.members import Limits
from elpack.archives.sdist import read_sdist
from elpack.archives.unpack import extract_sdist, sdist_member, sdist_members
from elpack.archives.wheel import read_wheel

__all__ = ["Limits", "extract_sdist", "read_sdist", "read_wheel", "sdist_member", "sdist_members"]
