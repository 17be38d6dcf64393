"""The real rpmbuild packages files of any name by the list that elpack writes, and runs none of them."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

from elpack.assets.elpack_buildroot import quoted

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

NAMES = (
    *("plain", "with space", " lead", "trail ", "script (dev).tmpl"),
    *("a*b", "a?b", "a[b]c", "[a-z]", "a]b", "{", "}", "a{b,c}d", "*", "[", "?"),
    *("$HOME", "`x`", "$(x)", ";x", "#x", "~x", "!x", "q'uote", "a|b&c>d", "ünï", "a\u202eb", "-rf", "@x", "x=y"),
)
# what a glob would take in by mistake; all of it belongs to the same package anyway
DECOYS = ("ab", "ac", "aXb", "abd", "acd")
SPEC = """\
Name: t
Version: 1
Release: 1
Summary: t
License: MIT
BuildArch: noarch
%description
t
%install
mkdir -p %{{buildroot}}/opt
cp -a {tree} %{{buildroot}}/opt/x
%files -f {tree}.list
"""


def test_every_file_is_packaged_under_its_own_name(tmp_path: Path, needs: Callable[..., None]) -> None:
    needs("rpmbuild", "rpm")
    tree = tmp_path / "tree"
    tree.mkdir()
    for name in (*NAMES, *DECOYS):
        (tree / name).write_text(name)
    listed = ['%dir "/opt/x"', *(f'"/opt/x/{quoted(name)}"' for name in (*NAMES, *DECOYS))]
    (tmp_path / "tree.list").write_text("\n".join(listed) + "\n")
    (tmp_path / "t.spec").write_text(SPEC.format(tree=tree))
    options = ["--define", f"_topdir {tmp_path}/top", "--define", "__os_install_post %{nil}"]
    done = subprocess.run(
        ["rpmbuild", "-bb", *options, "t.spec"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    (package,) = (tmp_path / "top/RPMS/noarch").glob("*.rpm")
    told = subprocess.run(["rpm", "-qp", "--qf", "[%{filenames}\n]", str(package)], capture_output=True, check=True)
    assert set(told.stdout.decode().splitlines()) == {"/opt/x", *(f"/opt/x/{name}" for name in (*NAMES, *DECOYS))}
