# What people type. `just --list` shows it; every recipe is one call of elpack or of one tool.

export PATH := justfile_directory() / ".venv/bin" + ":" + env("PATH")

# Tests of one file share what they made
workers := "--numprocesses auto --maxprocesses 4 --dist loadfile"

# Say what there is
default:
    @just --list --unsorted

# The release: fetch, plan, build, check, repository, install in a clean root, smoke-test
rpm-all *options:
    elpack rpm-all {{ options }}

# Show what would be built, and why
plan *options:
    elpack plan {{ options }}

# Check the release file, the locks and the whole set, without building
check *options:
    elpack check {{ options }}

# Write the committed spec files anew
specs *options:
    elpack spec --target el9 --arch x86_64 {{ options }}
    elpack spec --target el9-standin {{ options }}

# Fail when the committed spec files are not what the plan renders
specs-check:
    elpack spec --target el9 --arch x86_64 --check
    elpack spec --target el9 --arch aarch64 --check
    elpack spec --target el9-standin --check

# The images: what is missing of the RPMs, and both flavours
image-all *options:
    elpack image build {{ options }}

# The images of all architectures in one archive, with the index that a push gives them
image-index *options:
    elpack image index {{ options }}

# Try the images that were made: started hardened, reached from outside, stopped
image-smoke *options:
    elpack image smoke {{ options }}

# Write the committed Containerfiles anew
images *options:
    elpack image files --target el9 --arch x86_64 {{ options }}
    elpack image files --target el9 --arch aarch64 {{ options }}
    elpack image files --target el9-standin --arch x86_64 {{ options }}
    elpack image files --target el9-standin --arch aarch64 {{ options }}

# Fail when the committed Containerfiles are not what the plan gives
images-check: (images "--check")

# All carriers, each tried the way its users use it
release: rpm-all image-all image-smoke

# Resolve the build requirements anew into pylock.build.toml
lock *options:
    elpack lock {{ options }}

# Make the stand-in EL9 base
standin *options:
    elpack standin {{ options }}

# Show the keys that sign
keys *options:
    elpack keys {{ options }}

# Sign what was built without a key, or by another one
sign *options:
    elpack sign {{ options }}

# Are the results what the manifest says? With --rebuild: does a second build give the same bytes?
verify *options:
    elpack verify {{ options }}

# Wheels of the first-party packages, for every interpreter, architecture and platform that can be built here
wheels *options:
    elpack wheel build {{ options }}

# Write what cibuildwheel reads anew
wheel-files *options:
    elpack wheel files {{ options }}

# Judge wheels and sdists: those of dist/wheels, or files and folders that are named
verify-wheels *options:
    elpack wheel verify {{ options }}

# What is inside: a CycloneDX document of the release, without building
sbom *options:
    elpack sbom {{ options }}

# Publish what was built and signed: `just publish /srv/www/shop`
publish to *options:
    elpack publish {{ to }} {{ options }}

# Everything of all first-party packages, from the checkouts beside this one: sdists, wheels, RPMs, images
universe *options:
    elpack universe {{ options }}

# How each dist of the closure can be had, for each interpreter and architecture
audit-wheels *options:
    elpack audit wheels {{ options }}

# Smoke-test what was built, again
smoke *options:
    elpack smoke {{ options }}

# Remove what was built, keep what was downloaded
clean *options:
    elpack clean {{ options }}

# Every test but the integration lane
test *options:
    pytest {{ workers }} -m "not integration and not foreign and not rebuild and not faults and not arm64 and not wheels" {{ options }}

# Only the tests that need no tools
test-unit *options:
    pytest tests/unit tests/property tests/golden {{ options }}

# Check every spec with EL9's own macros: a folder of unpacked RPMs, and maybe a folder of more specs
el9-macros-check macros specs="":
    ELPACK_EL9_MACROS="{{ macros }}" ELPACK_SPECS="{{ specs }}" pytest tests/contract/test_el9_macros.py

# The whole pipeline, on the real input; the second worker does what needs no release until there is one
test-integration *options:
    pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder --durations 12 -m integration {{ options }}

# `elpack init` and `rpm-all` on projects that have nothing to do with WAMP
foreign *options:
    pytest -m foreign {{ options }}

# The release for ARM64: cross-compiled, emulated, installed, started
arm64 *options:
    pytest -m arm64 {{ options }}

# Wheels for every interpreter: built, repaired, judged, installed
wheels-lane *options:
    pytest -m wheels {{ options }}

# Build everything again, otherwise, and compare every file: once a week, and before a release
rebuild *options:
    pytest -m rebuild -s {{ options }}

# Hostile input: every case, and real builds of many of them
hostile *options:
    pytest tests/hostile {{ options }}

# Fuzz all that reads what comes from outside, for so many seconds in all: `just fuzz 600`, `just fuzz 60 uv-lock`
fuzz seconds *targets:
    python -m tests.fuzz {{ seconds }} {{ targets }}

# The same texts given to other tools from PyPI, installed below a folder; what each of them executes
hostile-peers folder *tools:
    python -m tests.hostile.peers {{ folder }} {{ tools }}

# Kill, starve and lie to runs of the real release: `just faults --kills 50 --seed 4711`
faults *options:
    pytest tests/faults -m faults -s {{ options }}

# Lint and check the format
lint:
    ruff check .
    ruff format --check .

# Format, and mend what the linter can
format:
    ruff check --fix .
    ruff format .

# Check the types
typecheck:
    mypy

# Run the benchmarks
bench *options:
    python -m benchmarks {{ options }}

# Every check, then the release
ci: lint typecheck specs-check images-check test release
