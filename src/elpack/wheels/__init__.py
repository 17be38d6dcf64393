"""Wheels and sdists of the first-party packages: what is built for whom, and what is said of it."""
