"""The rules about what overrides cite, and what they ask for."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from elpack.checks.override_case import below_site_packages, cases, installed
from elpack.checks.void_overrides import void_override
from elpack.errors import Problem

if TYPE_CHECKING:
    from collections.abc import Iterator

    from elpack.plan.facts import Inputs
    from elpack.plan.model import Plan


def outdated_proof(plan: Plan, inputs: Inputs) -> Iterator[Problem]:
    """A declaration of bundled code whose proof is no longer in the sdist: its version may have changed, or it is gone.

    Look at what the sdist bundles now, and mend version and text.
    """
    for case in cases(plan, inputs):
        for package, facts in case.sdists:
            for position, entry in enumerate(case.override.bundled):
                text = inputs.cited.get((facts.sha256, entry.file))
                if text is None or entry.text not in text:
                    what = f"does not hold {entry.text!r}" if text is not None else "is not there"
                    yield Problem(
                        f"{entry.file} {what} in {facts.filename}",
                        where=f"specs/overrides/{package.dist}.toml: bundled[{position}]",
                        why=f"it proves that {entry.name} {entry.version} is bundled",
                        fix=f"look which {entry.name} the sdist holds now; mend version and text, or remove the entry",
                    )


def missing_files(plan: Plan, inputs: Inputs) -> Iterator[Problem]:
    """A wheel without the files that it must have by an override. Of an sdist, the build root tells.

    The package would be broken: take another version, or its sdist.
    """
    for case in cases(plan, inputs):
        for package, facts in case.wheels:
            paths = [path for path in map(below_site_packages, installed(facts, inputs)) if path]
            for position, entry in enumerate(case.override.must_have):
                count = sum(_matches(path, entry.path) for path in paths)
                if count < entry.at_least:
                    yield Problem(
                        f"{facts.filename} holds {count} files {entry.path}, not {entry.at_least} or more",
                        where=f"specs/overrides/{package.dist}.toml: must-have[{position}]",
                        why=entry.reason,
                        fix="take another version or its sdist; or mend the entry, if the package needs less now",
                    )


def _matches(path: str, pattern: str) -> bool:
    return path.count("/") == pattern.count("/") and PurePosixPath(path).match(pattern)


OVERRIDE_RULES = (void_override, outdated_proof, missing_files)
