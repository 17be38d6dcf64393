"""Hostile input: what comes from outside executes nothing, leaves the work folder alone, and is refused or packaged."""
