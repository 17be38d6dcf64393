"""Benchmarks: what elpack costs, beside a named peer or floor measured in the same run."""

from __future__ import annotations
