"""How fast is the product? Medians and ratios, measured in one run."""
