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

variable "cluster_id" {
  description = "OCID of the cluster whose workloads are meant."
  type        = string
}

variable "checkpoint_bucket" {
  description = "Name of the bucket of blobs and the archive."
  type        = string
}
