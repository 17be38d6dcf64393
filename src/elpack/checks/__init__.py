"""Rules over the whole set, asked before anything is built. Pure: a plan and its inputs in, findings out."""

from __future__ import annotations

from elpack.checks.rules import RULES, check_plan

__all__ = ["RULES", "check_plan"]
