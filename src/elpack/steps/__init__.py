"""What the pipeline does, one module for each step; every effect goes through `run`, `fetch` or `store`."""
