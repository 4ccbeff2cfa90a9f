"""Population-based training: populations, exploit and explore, lineage, and the best schedule."""
