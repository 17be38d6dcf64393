"""A small application as RPMs of a signed repository, and a target's own repository with what a root has."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.contract.customer import index, tool
from tests.unit.plans import RELEASE, Case

from elpack.builders import Repository
from elpack.config import parse_release
from elpack.plan.make import make_plan
from elpack.plan.model import Role
from elpack.run import run
from elpack.steps.images.rpm_root import rpm_layers
from elpack.workspace import Workspace

if TYPE_CHECKING:
    from pathlib import Path

    from tests.contract.customer import Hand

    from elpack.images.model import Layer
    from elpack.plan.model import Package

SPEC = """\
Name: {name}
Version: {version}
Release: {release}
Summary: A toy
License: MIT
BuildArch: noarch
AutoReqProv: no
{lines}
%description
A toy.
%install
{install}
find %{{buildroot}} -type f -exec touch -d '{date}' {{}} +
{scripts}
%files
{files}
"""
OS_INSTALL = """\
cd %{buildroot}
mkdir -p etc usr/bin usr/lib var/log var/lib tmp
ln -s usr/lib %{buildroot}/lib
printf 'root:x:0:0:root:/root:/bin/sh\\n' > %{buildroot}/etc/passwd
printf 'root:x:0:\\n' > %{buildroot}/etc/group
printf 'root:*:19000::::::\\n' > %{buildroot}/etc/shadow
echo su > %{buildroot}/usr/bin/su
echo 'NAME=toys' > %{buildroot}/usr/lib/os-release
ln %{buildroot}/usr/lib/os-release %{buildroot}/usr/lib/another-name
"""
OS_FILES = """\
%dir /etc
%config(noreplace) /etc/passwd
%config(noreplace) /etc/group
%config(noreplace) %attr(0000,root,root) /etc/shadow
%dir /usr
%dir /usr/bin
%attr(4755,root,root) /usr/bin/su
/usr/lib
/lib
%dir /var
%dir /var/log
%dir /var/lib
%dir %attr(1777,root,root) /tmp
"""
OS_POST = """\
%post -p <lua>
for _, path in ipairs({"/var/log/setup.log", "/etc/machine-id", "/usr/lib/__pycache__/x.pyc", "/etc/random"}) do
  posix.mkdir("/usr/lib/__pycache__")
  local file = io.open(path, "w")
  file:write(path == "/etc/random" and "the same" or tostring(os.time()) .. tostring(file))
  file:close()
end
"""


@dataclass
class Toys:
    """The small application. change: what its own code says."""

    folder: Path
    release_text: str = RELEASE

    def __post_init__(self) -> None:
        self.plan = make_plan(Case().inputs())
        self.release = parse_release(self.release_text)
        self.base = self.folder / "base"
        self.unsigned = self.folder / "unsigned"
        self.base.mkdir(parents=True)
        self.unsigned.mkdir()
        lines = "Provides: python3.12 = 3.12"
        os = {"name": "toy-os", "version": "1", "release": "1", "lines": lines, "date": "2020-02-02 02:02:02 UTC"}
        self._build(self.base, **os, install=OS_INSTALL, files=OS_FILES, scripts=OS_POST)
        index(self.base, None)
        for package in self.plan.published():
            self.build(package)

    def build(self, package: Package, says: str = "one", more: str = "") -> None:
        """Build one package of the plan, whose code says something."""
        nodes = self.plan.by_node()
        needs = [nodes[node] for node in package.needs]
        lines = "\n".join(f"Requires: {one.rpm} = {one.evr.version}-{one.evr.release}" for one in needs)
        lines += "\nProvides: python3-app\nRequires: python3.12" if package.role is Role.APPLICATION else ""
        place = f"/opt/shop/{package.dist or 'prefix'}-{package.role}"
        install = f"mkdir -p %{{buildroot}}{place}\necho '{says}' > %{{buildroot}}{place}/code.py\n"
        files = f"{place}\n"
        if package.role is Role.APPLICATION:
            install += "mkdir -p %{buildroot}/etc/shop\necho secret > %{buildroot}/etc/shop/config\n"
            files += "%dir /etc/shop\n%attr(0640,root,shop) /etc/shop/config\n"
        if package.role is Role.RUNTIME:
            files += "%dir /opt\n%dir /opt/shop\n"
        evr = {"version": package.evr.version, "release": package.evr.release}
        self._build(
            self.unsigned,
            name=str(package.rpm),
            **evr,
            lines=lines,
            install=install,
            files=files,
            scripts=more,
            date=f"{package.date} UTC",
        )

    def signed(self, hand: Hand, folder: Path) -> Repository:
        """Return the application's repository, signed."""
        folder.mkdir()
        for package in self.plan.published():
            # the plan says for which architecture, toys are for any
            arch = "noarch" if package.noarch else self.plan.target.arch
            copy = folder / f"{package.nvr}.{arch}.rpm"
            shutil.copyfile(self.unsigned / f"{package.nvr}.noarch.rpm", copy)
            hand.sign_rpm(copy)
        index(folder, hand)
        return Repository("shop", str(folder), gpgkey=hand.public(folder.with_suffix(".key")).as_uri())

    def layers(self, repository: Repository, home: Path) -> tuple[tuple[Layer, ...], list[str]]:
        """Return the layers that are made in a folder, and what is told meanwhile."""
        told: list[str] = []
        workspace = Workspace(home / "elpack.toml", home / "work", home / "dist")
        layers = rpm_layers(
            self.release,
            self.plan,
            [Repository("os", str(self.base))],
            repository,
            home / "context",
            workspace=workspace,
            logs=home / "logs",
            runner=run,
            progress=told.append,
        )
        return layers, told

    def _build(self, into: Path, **values: str) -> None:
        work = self.folder / f"building-{values['name']}"
        work.mkdir(exist_ok=True)
        spec = work / "toy.spec"
        spec.write_text(SPEC.format(**values))
        options = ("--define", f"_topdir {work}", "--define", f"_rpmdir {into}")
        tool("rpmbuild", "-bb", "--quiet", *options, "--define", "_build_name_fmt %{NVRA}.rpm", spec, home=work)
