"""What happens to a sweep when everything around it dies: `make chaos`, and a miniature among the tests."""
