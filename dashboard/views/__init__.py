"""The pages, one module each; rows are made and tested elsewhere."""
