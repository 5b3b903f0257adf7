variable "tenancy_id" {
  description = "OCID of the tenancy: its availability domains are asked for."
  type        = string
  validation {
    condition     = startswith(var.tenancy_id, "ocid1.tenancy.")
    error_message = "The OCID of a tenancy begins with ocid1.tenancy."
  }
}

variable "compartment_id" {
  description = "OCID of the compartment in which everything is made. Give the fleet one of its own: policies reach no further."
  type        = string
  validation {
    condition     = startswith(var.compartment_id, "ocid1.compartment.")
    error_message = "The OCID of a compartment begins with ocid1.compartment."
  }
}

variable "region" {
  description = "Region of the fleet, as us-ashburn-1."
  type        = string
  validation {
    condition     = can(regex("^[a-z]{2,3}-[a-z]+-[0-9]+$", var.region))
    error_message = "A region is written as us-ashburn-1."
  }
}

variable "home_region" {
  description = "Home region of the tenancy, in which policies are written."
  type        = string
}

variable "replica_region" {
  description = "Region of the copies of the archive and of the blobs."
  type        = string
  validation {
    condition     = var.replica_region != var.region
    error_message = "A copy in the same region is lost together with it."
  }
}

variable "name" {
  description = "Stands before the name of everything. Buckets have names of their own: the fleet looks for them."
  type        = string
  default     = "flotilla"
  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,14}$", var.name))
    error_message = "Letters, digits and dashes, at most 15."
  }
}

variable "size" {
  description = "The overlay of kubernetes/ that is to run: nodes and Redis are made for it."
  type        = string
  default     = "production"
  validation {
    condition     = contains(["development", "production", "high-scale"], var.size)
    error_message = "One of development, production, high-scale."
  }
}

variable "vcn_cidr" {
  description = "Addresses of the network, a /16. Subnets are cut out of it; the overlays name that of Redis."
  type        = string
  default     = "10.0.0.0/16"
  validation {
    condition     = can(cidrhost(var.vcn_cidr, 0)) && endswith(var.vcn_cidr, "/16")
    error_message = "A /16."
  }
}

variable "operator_cidrs" {
  description = "Private addresses that may reach the Kubernetes API, such as those of a bastion or a VPN. It has no public address."
  type        = list(string)
  default     = []
}

variable "caller_cidrs" {
  description = "Addresses that may call the gateway."
  type        = list(string)
  default     = ["0.0.0.0/0"]
}

variable "kubernetes_version" {
  description = "Version of Kubernetes, 1.30 or later."
  type        = string
  default     = "v1.33.1"
  validation {
    condition     = can(regex("^v1\\.(3[0-9]|[4-9][0-9])\\.[0-9]+$", var.kubernetes_version))
    error_message = "v1.30.0 or later: preStop sleeps and admission policies need it."
  }
}

variable "node_image_id" {
  description = "OCID of the OKE image of the nodes, for that version and shape."
  type        = string
  validation {
    condition     = startswith(var.node_image_id, "ocid1.image.")
    error_message = "The OCID of an image begins with ocid1.image."
  }
}

variable "redis_version" {
  description = "Engine of OCI Cache."
  type        = string
  default     = "VALKEY_7_2"
}

variable "api_backend" {
  description = "Address of the internal load balancer before the API, as http://10.0.2.20. Known once the overlay is applied: the gateway is not made before."
  type        = string
  default     = null
  validation {
    condition     = var.api_backend == null || can(regex("^https?://[a-z0-9.-]+(:[0-9]+)?$", var.api_backend))
    error_message = "http:// or https://, a host, and a port if it is not the usual one; no path."
  }
}

variable "callers" {
  description = "Who signs the tokens of callers: the gateway lets nobody else in. Their API key for the fleet travels beside it."
  type = object({
    issuers   = list(string)
    audiences = list(string)
    jwks_uri  = string
  })
  validation {
    condition     = length(var.callers.issuers) > 0 && length(var.callers.audiences) > 0 && startswith(var.callers.jwks_uri, "https://")
    error_message = "At least one issuer and one audience, and keys over https."
  }
}

variable "requests_per_second" {
  description = "Requests a second that one client address may make."
  type        = number
  default     = 50
  validation {
    condition     = var.requests_per_second >= 1
    error_message = "At least 1."
  }
}

variable "alarm_emails" {
  description = "Who is written to by alarms. Each must confirm a first mail."
  type        = list(string)
}

variable "audit_retention_days" {
  description = "For so long nobody can change or delete what is in the bucket of audit lines."
  type        = number
  default     = 365
  validation {
    condition     = var.audit_retention_days >= 1
    error_message = "At least a day."
  }
}
