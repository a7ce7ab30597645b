# Copy it to terraform.tfvars and put in what is yours.
project                  = "my-project"
azure_tenant             = "00000000-0000-0000-0000-000000000000"
azure_identity_object_id = "00000000-0000-0000-0000-000000000000"
federation_audience      = "api://ganglion-federation"
weights_bucket           = "my-weights"
weights_folder           = "llama-3.1-8b-instruct-awq"
