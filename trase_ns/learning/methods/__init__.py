"""Ways to give the Gaussians of a reconstructed scene features: a module each, with one training loop for all."""
