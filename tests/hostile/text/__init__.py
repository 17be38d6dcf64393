"""Hostile metadata and text: whatever reaches a spec, a unit, a changelog, a shell line or the terminal."""
