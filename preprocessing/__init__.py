"""From videos to clip stores: the synthetic corpus, alignment files and the ingest of mouth crops."""
