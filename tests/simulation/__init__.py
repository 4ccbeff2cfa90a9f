"""Simulations that say what a statistic is worth; run by hand, a miniature of each is in the suite."""
