"""The content-addressed store of finished work, and the journal of what was done."""

from __future__ import annotations

from elpack.store.entries import Entry, Store, StoredFile

__all__ = ["Entry", "Store", "StoredFile"]
