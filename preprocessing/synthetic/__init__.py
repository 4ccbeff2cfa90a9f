"""The synthetic corpus: sentences, visemes, drawn mouths."""
