"""Decides everything before anything is done."""

from __future__ import annotations
