"""What all pages share: the frame of a page, query parameters, the choice of trials."""
