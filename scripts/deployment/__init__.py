"""What happens around `azd up` and `azd down`? `python -m scripts.deployment STEP` runs one step."""
