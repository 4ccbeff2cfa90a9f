"""Videos for the browser: clips from the store, and the videos that they were cropped from."""
