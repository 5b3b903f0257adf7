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

variable "kubernetes_version" {
  description = "Version of control plane and nodes."
  type        = string
}

variable "node_shape" {
  description = "A flexible shape; its memory and OCPUs are those of the pool."
  type        = string
  default     = "VM.Standard.E5.Flex"
}

variable "node_image_id" {
  description = "OCID of the OKE image of the nodes."
  type        = string
}

variable "node_pools" {
  description = "Name of a pool to how many nodes it has, with how many OCPUs and GB of memory."
  type        = map(object({ count = number, ocpus = number, memory = number }))
}

variable "availability_domains" {
  description = "Domains that nodes are spread over."
  type        = list(string)
}

variable "network" {
  description = "The network: its OCID, and its subnets and security groups by name."
  type = object({
    vcn_id     = string
    subnet_ids = map(string)
    nsg_ids    = map(string)
  })
}

variable "key_id" {
  description = "OCID of the key that encrypts what Kubernetes keeps."
  type        = string
}
