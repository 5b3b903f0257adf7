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
