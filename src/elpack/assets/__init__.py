"""Files that travel into build roots inside elpack-rpm-macros; not imported by elpack itself."""
