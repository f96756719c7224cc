"""The scene of two balls that change places."""

from balls import balls, camera, new_balls, spots  # noqa: F401 - fixtures
