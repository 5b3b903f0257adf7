variable "compartment_id" {
  description = "OCID of the compartment."
  type        = string
}

variable "name" {
  description = "Stands before the name of everything."
  type        = string
}

variable "tags" {
  description = "Free-form tags of everything."
  type        = map(string)
}

variable "subnet_id" {
  description = "Where its private endpoint stands."
  type        = string
}

variable "nsg_id" {
  description = "Security group of that endpoint."
  type        = string
}

variable "partitions" {
  description = "Partitions of the stream; it cannot be changed without a new stream."
  type        = number
  default     = 3
}
