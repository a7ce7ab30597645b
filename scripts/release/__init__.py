"""How does a package replace the one that runs? `python -m scripts.release` deploys, watches and may go back."""
