# Copy it to terraform.tfvars and put in what is yours. At least one of the lists must have an entry.
azure_tenant             = "00000000-0000-0000-0000-000000000000"
azure_identity_object_id = "00000000-0000-0000-0000-000000000000"
federation_audience      = "api://ganglion-federation"
