"""Measures how long the parts of the program take, side by side with plain torch, and writes docs/performance.md."""

import os

# As the commands of the package do: threads that wait in a loop take the processor from others. Read with torch.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
