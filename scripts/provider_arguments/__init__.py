"""Which arguments do resources of a Terraform provider take? `python -m scripts.provider_arguments CLOUD FOLDER`."""
