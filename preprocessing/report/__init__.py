"""What `lipkd inspect` shows of a clip store, as a page or a picture."""
