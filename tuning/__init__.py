"""Many trials, tracked: sweep files, Ray Tune, and the one writer that brings journals into MLflow."""
