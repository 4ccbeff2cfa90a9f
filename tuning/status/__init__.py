"""The plan, the status and the results of a sweep's trials, as text."""
