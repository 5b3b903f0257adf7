terraform {
  required_version = ">= 1.9"
  required_providers {
    oci = {
      source  = "oracle/oci"
      version = ">= 7.0"
    }
  }
}

# Credentials come from the environment or ~/.oci/config of whoever applies this; none stands in a file here.
provider "oci" {
  region = var.region
}

# Where copies of the archive are kept.
provider "oci" {
  alias  = "replica"
  region = var.replica_region
}

# Policies and dynamic groups are written in the home region of a tenancy, and nowhere else.
provider "oci" {
  alias  = "home"
  region = var.home_region
}
