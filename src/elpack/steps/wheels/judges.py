"""The field's own judges, each in a process of its own: auditwheel, abi3audit, twine. Their answers become values."""

from __future__ import annotations

import importlib.util
import json
import re
import sys
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING, Any

from elpack import strict
from elpack.errors import Problem, ToolMissingError
from elpack.run import CLEAN_ENV, Command
from elpack.wheels.judgement import Abi3, Audit

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from elpack.run import Completed, Runner

MODULES = ("auditwheel", "twine", "abi3audit")
"""Each is a command of its own, and comes with elpack[wheels]."""
_SECONDS = 300
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_LINES = 12
_POLICIES = ("manylinux-policy.json", "musllinux-policy.json")


@dataclass(frozen=True, slots=True)
class Judges:
    """Asks them about archives that were found sound before: none of them guards itself against bombs."""

    runner: Runner
    python: str = sys.executable

    def need(self) -> None:
        """Raise `ToolMissingError` with every judge that is not installed."""
        missing = [name for name in MODULES if importlib.util.find_spec(name) is None]
        if missing:
            fix = "install them beside elpack: uv sync --extra wheels, or pip install 'elpack[wheels]'"
            raise ToolMissingError(
                *(Problem(f"{name}, which judges wheels, is not installed", fix=fix) for name in missing)
            )

    def audit(self, wheel: Path) -> Audit:
        """Return what auditwheel says of a wheel."""
        done = self._ask("auditwheel", "show", "--json", str(wheel))
        answer = _json(done.stdout)
        if answer is None:
            return Audit(error=_last(done))
        if error := answer.get("error"):
            return Audit(error=" ".join(str(error).split()), raw=answer)
        upgrades = answer.get("policy_upgrades", {})
        return Audit(
            overall=str(answer.get("overall_tag", "")),
            symbols=str(answer.get("sym_tag", "")),
            eliminate={tag: tuple(map(str, one.get("libs_to_eliminate", ()))) for tag, one in upgrades.items()},
            forbidden={
                tag: tuple(
                    f"{name} of {lib}" for lib, names in one.get("blacklisted_symbols", {}).items() for name in names
                )
                for tag, one in upgrades.items()
            },
            unsupported_isa=answer.get("unsupported_isa") is True,
            raw={**answer, "wheel": wheel.name},
        )

    def abi3(self, wheel: Path) -> tuple[Abi3, ...]:
        """Return what abi3audit says of each extension module; a wheel that it cannot read is told as one of these."""
        answer = _json(self._ask("abi3audit", "--strict", "--report", str(wheel)).stdout)
        specs = list((answer or {}).get("specs", {}).values())
        found = [one for spec in specs for one in spec.get("wheel", ()) if isinstance(one, dict)]
        if answer is None:
            return (Abi3(wheel.name, is_abi3=False, baseline="", computed=""),)
        return tuple(_abi3(one) for one in found)

    def twine(self, path: Path) -> tuple[str, ...]:
        """Return what `twine check --strict` complains of, nothing when it is content."""
        done = self._ask("twine", "--no-color", "check", "--strict", str(path))
        if done.returncode == 0:
            return ()
        text = _COLOUR.sub("", f"{done.stdout}\n{done.stderr}")
        lines = [" ".join(line.split()) for line in text.splitlines() if line.strip()]
        said = [line for line in lines if not line.startswith("Checking ")] or ["it fails, and does not say why"]
        return (" ".join(said[:_LINES]),)

    def _ask(self, module: str, *arguments: str) -> Completed:
        # columns: none of them folds what it says in the middle of a name
        env = {**CLEAN_ENV, "NO_COLOR": "1", "COLUMNS": "1000", "PYTHONWARNINGS": "ignore"}
        return self.runner(Command((self.python, "-I", "-m", module, *arguments), env=env, timeout=_SECONDS))


def policies() -> dict[str, dict[str, frozenset[str]]]:
    """Return the versions of symbols that each of auditwheel's policies lets through, by tag and library of symbols."""
    found: dict[str, dict[str, frozenset[str]]] = {}
    for name in _POLICIES:
        for policy in json.loads(resources.files("auditwheel.policy").joinpath(name).read_text()):
            for arch, symbols in policy.get("symbol_versions", {}).items():
                found[f"{policy['name']}_{arch}"] = {library: frozenset(known) for library, known in symbols.items()}
    return found


def _json(text: str) -> Mapping[str, Any] | None:
    try:
        value = strict.json_value(text)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def _abi3(one: Mapping[str, Any]) -> Abi3:
    result = one.get("result", {})
    return Abi3(
        name=str(one.get("name", "")),
        is_abi3=result.get("is_abi3") is True,
        baseline=str(result.get("baseline", "")),
        computed=str(result.get("computed", "")),
        outside=tuple(sorted(map(str, result.get("non_abi3_symbols", ())))),
        later=tuple(sorted(map(str, result.get("future_abi3_objects", ())))),
    )


def _last(done: Completed) -> str:
    return " ".join(done.tail(3).split()) or f"it ended with {done.returncode}"
