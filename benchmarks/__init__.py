"""How fast the product is: ratios between things measured in the same run, and exact counts."""
