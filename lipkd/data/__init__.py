"""From the clip store to batches: the store, splits, transforms, augmentation, the loader."""
