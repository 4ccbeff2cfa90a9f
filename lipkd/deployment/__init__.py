"""One peer as a model folder, and reading clips with it."""
