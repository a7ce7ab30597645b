variable "project" {
  description = "The id of the Google Cloud project, such as my-project."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.project))
    error_message = "project must be the id of a project: 6 to 30 lower-case letters, digits and hyphens."
  }
}

variable "region" {
  description = "A region in which Cloud Run has L4 GPUs."
  type        = string
  default     = "us-central1"

  validation {
    condition     = contains(["asia-south1", "asia-southeast1", "europe-west1", "europe-west4", "us-central1", "us-east4"], var.region)
    error_message = "region must have L4 GPUs on Cloud Run: asia-south1, asia-southeast1, europe-west1, europe-west4, us-central1 or us-east4."
  }
}

variable "name" {
  description = "What every name begins with."
  type        = string
  default     = "ganglion"

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,19}[a-z0-9]$", var.name))
    error_message = "name must have 3 to 21 lower-case letters, digits and hyphens, and begin with a letter."
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

variable "image" {
  description = "vLLM's OpenAI server on Docker Hub; the project's own registry fetches it once."
  type        = string
  default     = "vllm/vllm-openai"

  validation {
    condition     = can(regex("^[a-z0-9._-]+/[a-z0-9._-]+$", var.image))
    error_message = "image must be OWNER/NAME on Docker Hub."
  }
}

variable "image_tag" {
  description = "The version of vLLM, where image_digest is empty."
  type        = string
  default     = "v0.31.0"

  validation {
    condition     = can(regex("^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$", var.image_tag))
    error_message = "image_tag must be a tag of an image, such as v0.31.0."
  }
}

variable "image_digest" {
  description = "The digest of the image, so that it never changes; the default is that of v0.31.0. Empty: image_tag decides."
  type        = string
  default     = "sha256:c1c9f6fd5c109ba7f0546a59f5b2f15fb87f64c77782e90a27b648b42a8e67c3"

  validation {
    condition     = var.image_digest == "" || can(regex("^sha256:[0-9a-f]{64}$", var.image_digest))
    error_message = "image_digest must be sha256: and 64 hexadecimal digits, or empty."
  }
}

variable "start_p99_s" {
  description = "cold.p99_s of the backend in fleet.toml: the startup probe ends a start that takes longer."
  type        = number
  default     = 300

  validation {
    condition     = var.start_p99_s > 0 && var.start_p99_s <= 480
    error_message = "start_p99_s must be at most 480: Cloud Run's startup probe ends a start after 240 s of delay and 240 s of probes. Use smaller weights, a faster load_format, or another system for this model."
  }
}

variable "load_format" {
  description = "How vLLM reads the weights: auto, or runai_streamer, which reads them with several threads at once."
  type        = string
  default     = "auto"

  validation {
    condition     = contains(["auto", "safetensors", "runai_streamer", "fastsafetensors", "tensorizer"], var.load_format)
    error_message = "load_format must be auto, safetensors, runai_streamer, fastsafetensors or tensorizer."
  }
}

variable "deletion_protection" {
  description = "Whether terraform destroy must fail; set it to true for a service that others rely on."
  type        = bool
  default     = false
}

variable "quota_email" {
  description = "Who Google asks about the request for GPUs. Empty: no quota is requested."
  type        = string
  default     = ""

  validation {
    condition     = var.quota_email == "" || can(regex("^[^@ ]+@[^@ ]+$", var.quota_email))
    error_message = "quota_email must be an e-mail address, or empty."
  }
}

variable "monthly_budget" {
  description = "US dollars a month of the project above which Google sends an e-mail to budget_email; 0: no budget."
  type        = number
  default     = 0

  validation {
    condition     = var.monthly_budget >= 0 && floor(var.monthly_budget) == var.monthly_budget
    error_message = "monthly_budget must be a whole number of US dollars, or 0."
  }
}

variable "billing_account" {
  description = "The billing account of the project, 012345-ABCDEF-678901; needed for monthly_budget."
  type        = string
  default     = ""

  validation {
    condition     = var.monthly_budget == 0 || can(regex("^[0-9A-F]{6}-[0-9A-F]{6}-[0-9A-F]{6}$", var.billing_account))
    error_message = "billing_account must be like 012345-ABCDEF-678901 where monthly_budget is set."
  }
}

variable "budget_email" {
  description = "Who gets the e-mail of the budget, besides the administrators of the billing account."
  type        = string
  default     = ""

  validation {
    condition     = var.budget_email == "" || can(regex("^[^@ ]+@[^@ ]+$", var.budget_email))
    error_message = "budget_email must be an e-mail address, or empty."
  }
}

variable "weights_bucket" {
  description = "The bucket that holds the weights, in the same region, such as my-weights."
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9._-]{1,61}[a-z0-9]$", var.weights_bucket))
    error_message = "weights_bucket must be the name of a bucket, without gs://."
  }
}

variable "weights_folder" {
  description = "The folder of the weights in the bucket, such as llama-3.1-8b-instruct-awq."
  type        = string

  validation {
    condition     = can(regex("^[^/ ][^ ]*[^/ ]$", var.weights_folder))
    error_message = "weights_folder must be a path in the bucket, without a slash at its ends."
  }
}

variable "served_model" {
  description = "The model's name on the wire: served_model in fleet.toml, or the name of the model there."
  type        = string
  default     = "llama-3.1-8b"

  validation {
    condition     = can(regex("^[^ ]+$", var.served_model))
    error_message = "served_model must be the name of a model, without spaces."
  }
}

variable "context_tokens" {
  description = "limits.context_tokens of the backend in fleet.toml."
  type        = number
  default     = 16384

  validation {
    condition     = var.context_tokens >= 1 && floor(var.context_tokens) == var.context_tokens
    error_message = "context_tokens must be a whole number of at least 1."
  }
}

variable "concurrency" {
  description = "limits.concurrency of the backend in fleet.toml."
  type        = number
  default     = 8

  validation {
    condition     = var.concurrency >= 1 && var.concurrency <= 1000 && floor(var.concurrency) == var.concurrency
    error_message = "concurrency must be a whole number from 1 to 1000, the most that Cloud Run sends to an instance."
  }
}

variable "request_timeout_s" {
  description = "limits.request_timeout_s of the backend in fleet.toml."
  type        = number
  default     = 900

  validation {
    condition     = var.request_timeout_s >= 1 && var.request_timeout_s <= 3600
    error_message = "request_timeout_s must be from 1 to 3600, the longest request of Cloud Run."
  }
}

variable "counted" {
  description = "Whether the app sets the number of instances: scaling = \"count\" in fleet.toml."
  type        = bool
  default     = false
}

variable "max_instances" {
  description = "How many GPUs may run at once; the project's quota is the other limit. The ledger bills one of them: see \"More than one instance\" in docs/fleet.md."
  type        = number
  default     = 1

  validation {
    condition     = var.max_instances >= 1
    error_message = "max_instances must be at least 1."
  }
}

variable "arguments" {
  description = "Further arguments of vLLM, such as --enable-prefix-caching."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for each in var.arguments : can(regex("^--[a-z]", each))])
    error_message = "arguments must be like --name or --name=value."
  }
}
