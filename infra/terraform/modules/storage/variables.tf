variable "compartment_id" {
  description = "OCID of the compartment."
  type        = string
}

variable "tags" {
  description = "Free-form tags of everything."
  type        = map(string)
}

variable "namespace" {
  description = "Namespace of Object Storage."
  type        = string
}

variable "replica_region" {
  description = "Region of the copy."
  type        = string
}

variable "audit_retention_days" {
  description = "For so long audit lines cannot be changed or deleted."
  type        = number
}

variable "key_id" {
  description = "OCID of the key that encrypts the buckets of the region."
  type        = string
}

variable "buckets" {
  description = "Names of the buckets of checkpoints and of audit lines."
  type        = object({ checkpoints = string, audit = string })
}
