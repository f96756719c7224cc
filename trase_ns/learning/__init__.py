"""From masks to features and weights of Gaussians."""
