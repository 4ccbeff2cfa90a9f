"""Journals into MLflow: the client, the syncer and its process, the model registry, the MLflow UI."""
