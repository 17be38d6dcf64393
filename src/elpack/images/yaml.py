"""Plain values as YAML that every reader takes for the same: text is quoted, unless it can be nothing else."""

from __future__ import annotations

import re
import sys

from yaml import SafeDumper, ScalarNode, dump_all

Value = str | int | bool | list["Value"] | dict[str, "Value"]

_PLAIN = re.compile(r"[A-Za-z/][A-Za-z0-9/._-]*(?::[A-Za-z0-9/._-]+)*\Z")
_WORDS = frozenset({"true", "false", "yes", "no", "on", "off", "null", "y", "n", "nan", "inf"})
"""What one version of YAML or another takes for something else than text; numbers begin with no letter."""


def yaml(documents: list[dict[str, Value]]) -> str:
    """Return documents as one text, keys in the order that they have."""
    text: str = dump_all(documents, Dumper=_Dumper, sort_keys=False, default_flow_style=False, width=sys.maxsize)
    return text


class _Dumper(SafeDumper):  # type: ignore[misc]
    """Says everything where it stands: Kubernetes' users edit these texts, and an anchor would surprise them."""

    def ignore_aliases(self, _data: object) -> bool:
        return True


def _text(dumper: SafeDumper, text: str) -> ScalarNode:
    plain = _PLAIN.match(text) and text.lower() not in _WORDS
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, "" if plain else "|" if "\n" in text else '"')


_Dumper.add_representer(str, _text)
