"""The release file, elpack.toml, table by table: text in, one frozen `Release` out, or every mistake at once."""

from __future__ import annotations

from elpack.config.release import Application, AssetFile, FirstParty, Release, parse_release

__all__ = ["Application", "AssetFile", "FirstParty", "Release", "parse_release"]
