"""How fast is it? Medians and ratios, measured in one run."""
