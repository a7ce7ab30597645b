variable "project" {
  description = "The Google Cloud project."
  type        = string
}

variable "region" {
  description = "A region in which Cloud Run has L4 GPUs."
  type        = string
  default     = "us-central1"
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

variable "image" {
  description = "vLLM's OpenAI server on Docker Hub; the project's own registry fetches it once."
  type        = string
  default     = "vllm/vllm-openai"
}

variable "image_tag" {
  description = "The version of vLLM, where no digest is given."
  type        = string
  default     = "v0.33.0"
}

variable "image_digest" {
  description = "The digest of the image, sha256:…, so that it never changes. Empty: image_tag decides."
  type        = string
  default     = ""

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
}

variable "weights_bucket" {
  description = "The bucket that holds the weights, in the same region."
  type        = string
}

variable "weights_folder" {
  description = "The folder of the weights in the bucket."
  type        = string
}

variable "served_model" {
  description = "The model's name on the wire: served_model in fleet.toml, or the name of the model there."
  type        = string
  default     = "llama-3.1-8b"
}

variable "context_tokens" {
  description = "limits.context_tokens of the backend in fleet.toml."
  type        = number
  default     = 16384
}

variable "concurrency" {
  description = "limits.concurrency of the backend in fleet.toml."
  type        = number
  default     = 8
}

variable "request_timeout_s" {
  description = "limits.request_timeout_s of the backend in fleet.toml."
  type        = number
  default     = 900
}

variable "counted" {
  description = "Whether the app sets the number of instances: scaling = \"count\" in fleet.toml."
  type        = bool
  default     = false
}

variable "max_instances" {
  description = "How many GPUs may run at once; the project's quota is the other limit."
  type        = number
  default     = 1

  validation {
    condition     = var.max_instances >= 1
    error_message = "max_instances must be at least 1."
  }
}

variable "arguments" {
  description = "Further arguments of vLLM."
  type        = list(string)
  default     = []
}
