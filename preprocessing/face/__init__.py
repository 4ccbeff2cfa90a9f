"""From a whole face to mouth crops: landmarks, geometry, crop, cache."""
