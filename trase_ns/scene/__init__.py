"""What a dynamic Gaussian scene is."""
