"""Images as values: what is in one, how it is started, and the texts that describe it to engines and people."""
