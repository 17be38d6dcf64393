"""One module per program that elpack drives; each builds command lines and reads the answers."""
