"""Sweeps and trials as records, read from MLflow."""
