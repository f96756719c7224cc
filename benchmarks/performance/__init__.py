"""Measures how long the parts of the program take, side by side with plain torch, and writes docs/performance.md."""
