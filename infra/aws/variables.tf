variable "region" {
  description = "The region of the provider. IAM itself has none."
  type        = string
  default     = "us-east-1"
}

variable "name" {
  description = "What every name begins with."
  type        = string
  default     = "ganglion"
}

variable "azure_tenant" {
  description = "The id of the Entra tenant of the app's managed identity."
  type        = string
}

variable "azure_identity_object_id" {
  description = "The object id of that identity: the output identityObjectId of infra/azure."
  type        = string
}

variable "federation_audience" {
  description = "The application ID URI that stands for this federation in Entra, api://<name>."
  type        = string
}

variable "bedrock_models" {
  description = "The ARNs of the models and inference profiles that may be called."
  type        = list(string)
  default     = []
}

variable "sagemaker_endpoints" {
  description = "The ARNs of the endpoints and inference components that may be called."
  type        = list(string)
  default     = []
}

variable "lambda_functions" {
  description = "The ARNs of the functions whose URLs may be called."
  type        = list(string)
  default     = []
}
