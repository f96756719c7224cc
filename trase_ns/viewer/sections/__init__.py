"""The parts of the panel, one for each thing that people do; each is a thin view of the studio."""
