"""A video with camera poses on disk: frames, cameras, times, seed points."""
