"""From weights and features to objects and selections."""
