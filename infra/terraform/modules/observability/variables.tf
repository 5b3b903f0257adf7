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

variable "alarm_emails" {
  description = "Who is written to."
  type        = list(string)
}

variable "namespace" {
  description = "Namespace of Object Storage."
  type        = string
}

variable "audit_bucket" {
  description = "Name of the bucket of audit lines."
  type        = string
}

variable "gateway" {
  description = "Whether the gateway has its deployment, and its OCID."
  type        = object({ is_deployed = bool, deployment_id = string })
}
