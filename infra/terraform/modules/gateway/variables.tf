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
  description = "Where it stands; a public one."
  type        = string
}

variable "nsg_id" {
  description = "Security group that says who may call."
  type        = string
}

variable "backend" {
  description = "Address of the API inside the network; null where it is not known yet."
  type        = string
}

variable "callers" {
  description = "Who signs the tokens of callers."
  type        = object({ issuers = list(string), audiences = list(string), jwks_uri = string })
}

variable "requests_per_second" {
  description = "Requests a second of one client address."
  type        = number
}
