"""2D segments: mask sets, their store, and the generators that make them."""
