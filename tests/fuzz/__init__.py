"""Fuzzing of all that reads what comes from outside. `just fuzz SECONDS` runs it; tests only see that it works."""
