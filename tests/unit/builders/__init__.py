"""Tests of the builders, with a runner that plays the tools."""

from __future__ import annotations
