"""Word times from sound and transcript, by aeneas."""
