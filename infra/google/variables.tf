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
  description = "vLLM's OpenAI server, by digest where it must not change."
  type        = string
  default     = "vllm/vllm-openai:v0.11.0"
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

variable "max_instances" {
  description = "How many GPUs may run at once; the project's quota is the other limit."
  type        = number
  default     = 1
}

variable "arguments" {
  description = "Further arguments of vLLM."
  type        = list(string)
  default     = []
}
