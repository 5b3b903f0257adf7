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

variable "region" {
  description = "Region of the fleet; services are named by it."
  type        = string
}

variable "key_id" {
  description = "OCID of the key that services may use."
  type        = string
}

variable "audit_bucket" {
  description = "Name of the bucket of audit lines."
  type        = string
}
