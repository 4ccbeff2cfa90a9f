"""`lipkd bench dashboard`: how fast the pages are on a made sweep of many trials, and MLflow's own UI beside them."""
