"""From a sweep file to trials and what they will cost."""
