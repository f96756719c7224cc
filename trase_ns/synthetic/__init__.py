"""Moving scenes with known answers."""
