variable "region" {
  description = "The region of the provider, such as us-east-1. IAM itself has none."
  type        = string
  default     = "us-east-1"

  validation {
    condition     = can(regex("^[a-z]{2,3}(-[a-z]+)+-[0-9]$", var.region))
    error_message = "region must be a region of AWS, such as us-east-1."
  }
}

variable "name" {
  description = "What every name begins with."
  type        = string
  default     = "ganglion"

  validation {
    condition     = can(regex("^[a-zA-Z0-9_+=,.@-]{1,57}$", var.name))
    error_message = "name must have 1 to 57 characters that a role may have."
  }
}

variable "azure_tenant" {
  description = "The id of the Entra tenant of the app's managed identity."
  type        = string

  validation {
    condition     = can(regex("^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$", var.azure_tenant))
    error_message = "azure_tenant must be a GUID: az account show --query tenantId."
  }
}

variable "azure_identity_object_id" {
  description = "The object id of that identity: the output identityObjectId of infra/azure."
  type        = string

  validation {
    condition     = can(regex("^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$", var.azure_identity_object_id))
    error_message = "azure_identity_object_id must be a GUID: the output identityObjectId of infra/azure."
  }
}

variable "federation_audience" {
  description = "The application ID URI that stands for this federation in Entra, api://<name>."
  type        = string

  validation {
    condition     = can(regex("^api://[^/ ]+$", var.federation_audience))
    error_message = "federation_audience must be like api://ganglion-federation."
  }
}

variable "bedrock_models" {
  description = "The ARNs of the models and inference profiles that may be called."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for each in var.bedrock_models : can(regex("^arn:aws[a-z-]*:bedrock:", each))])
    error_message = "bedrock_models must be ARNs, such as arn:aws:bedrock:us-east-1::foundation-model/NAME."
  }
}

variable "sagemaker_endpoints" {
  description = "The ARNs of the endpoints and inference components that may be called."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for each in var.sagemaker_endpoints : can(regex("^arn:aws[a-z-]*:sagemaker:", each))])
    error_message = "sagemaker_endpoints must be ARNs, such as arn:aws:sagemaker:us-east-1:ACCOUNT:endpoint/NAME."
  }
}

variable "lambda_functions" {
  description = "The ARNs of the functions whose URLs may be called."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for each in var.lambda_functions : can(regex("^arn:aws[a-z-]*:lambda:", each))])
    error_message = "lambda_functions must be ARNs, such as arn:aws:lambda:us-east-1:ACCOUNT:function:NAME."
  }
}
