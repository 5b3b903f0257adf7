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

variable "vcn_cidr" {
  description = "Addresses of the network, a /16."
  type        = string
}

variable "operator_cidrs" {
  description = "Addresses that may reach the Kubernetes API."
  type        = list(string)
}

variable "caller_cidrs" {
  description = "Addresses that may call the gateway."
  type        = list(string)
}
