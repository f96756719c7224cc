"""The panel before a person; see `panels`."""

from panels import open_panel, panel, person, run_folder, scene, studio  # noqa: F401 - fixtures
from small_vgg import small_vgg  # noqa: F401 - fixture
