variable "partition" {
  description = "AWS partition, such as aws."
  type        = string
  nullable    = false
}

variable "document_prefixes" {
  description = "What the names of the account's documents begin with that the role may read, such as t0rn-ec1-dev; none for Amazon's alone."
  type        = list(string)
  default     = []
  nullable    = false
}
