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

variable "software_version" {
  description = "Engine and version."
  type        = string
}

variable "redis" {
  description = "NONSHARDED: nodes in all. SHARDED: shards, and nodes of each. Memory of a node in GB."
  type        = object({ mode = string, nodes = number, shards = number, memory = number })
}

variable "subnet_id" {
  description = "Where it stands."
  type        = string
}

variable "nsg_id" {
  description = "Security group that says who may reach it."
  type        = string
}
