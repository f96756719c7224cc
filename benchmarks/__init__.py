"""Measurements that the documentation is made of."""

import os

# As the commands of the package do: threads that wait in a loop take the processor from others. Read with torch.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
