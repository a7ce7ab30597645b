"""Which arguments do the resources of Google's Terraform provider take? `python -m scripts.google_arguments FOLDER`."""
