"""The spec that a packager would write for a wheel by hand: pip in %install, and rpm's defaults for the rest."""

from __future__ import annotations

from typing import TYPE_CHECKING

from elpack.escape import for_spec

if TYPE_CHECKING:
    from elpack.model import SdistFacts, WheelFacts
    from elpack.plan.model import Package

SPEC = """\
%global python3_pkgversion {python}
{quirk}
Name:           {name}
Version:        {version}
Release:        1%{{?dist}}
Summary:        {summary}
License:        {licence}
URL:            {url}
Source0:        {wheel}
{arch}
BuildRequires:  python%{{python3_pkgversion}}-devel
BuildRequires:  python%{{python3_pkgversion}}-pip

%description
{summary}.

%prep

%build

%install
%{{__python3}} -m pip install --no-index --no-deps --no-cache-dir --no-compile --ignore-installed \\
    --no-warn-script-location --disable-pip-version-check --progress-bar off \\
    --root %{{buildroot}} --prefix %{{_prefix}} %{{SOURCE0}}
{compile}
%files
{files}

%changelog
* Fri Nov 20 2026 A Packager <packager@example.org> - {version}-1
- Package
"""

# brp-mangle-shebangs refuses the "env python" of these; their packager would turn it off
AMBIGUOUS_SHEBANGS = ("qrcode", "txtorcon")
UNMANGLED = "%undefine __brp_mangle_shebangs\n"
# what elpack leaves out as well: the brp scripts strip libraries, and compile a second time with -O
LEAN = "%global __os_install_post %{nil}\n"
COMPILE = "%{__python3} -m compileall -q -s %{buildroot} -p / %{buildroot}%{_prefix}/lib* || :\n"


def plain_spec(package: Package, facts: WheelFacts | SdistFacts, python: str, *, lean: bool) -> tuple[str, str]:
    """Return name and text of the plain spec for a wheel that elpack's plan packages as well.

    lean: with no more brp scripts than elpack has, none, and byte code without -O only, as elpack has it.
    """
    name = f"python{python}-{package.dist}"
    files = _files(facts)
    quirk = LEAN if lean else UNMANGLED if package.dist in AMBIGUOUS_SHEBANGS else ""
    text = SPEC.format(
        python=python,
        quirk=quirk,
        compile=COMPILE if lean else "",
        name=name,
        version=package.evr.version,
        summary=for_spec(package.summary),
        licence=for_spec(package.licence.expression),
        url=for_spec(package.url),
        wheel=package.sources[0].filename,
        arch="BuildArch:      noarch\n" if package.noarch else "",
        files="\n".join(files),
    )
    return name, text


def _files(facts: WheelFacts | SdistFacts) -> list[str]:
    # what the wheel installs: modules, commands, and data below the prefix
    paths = [file.path for file in facts.files]
    data = [path.split("/", 2) for path in paths if path.partition("/")[0].endswith(".data")]
    kinds = {parts[1] for parts in data if len(parts) > 2}  # noqa: PLR2004
    site = "%{python3_sitelib}" if facts.root_is_purelib else "%{python3_sitearch}"
    lines = [f"{site}/*"]
    if facts.console_scripts or facts.gui_scripts or "scripts" in kinds:
        lines.append("%{_bindir}/*")
    lines += sorted({f'"%{{_prefix}}/{parts[2]}"' for parts in data if len(parts) > 2 and parts[1] == "data"})  # noqa: PLR2004
    return lines
