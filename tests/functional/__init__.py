"""Commands as a user gives them."""
