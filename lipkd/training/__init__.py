"""The training loop of one trial, its optimiser, averaged weights, and weights taken over from another trial."""
