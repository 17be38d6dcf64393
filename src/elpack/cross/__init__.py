"""Cross-compiling, the pure half: compilers, what builds are made believe, and what is told of them."""
