"""Everything that CTC logits and strings take: losses, decoding, forced alignment, error rates, subtitles."""
