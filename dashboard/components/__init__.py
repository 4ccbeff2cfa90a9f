"""Components of our own: Python beside its HTML, CSS and JavaScript."""
