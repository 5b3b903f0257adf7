# Everything of Oracle Cloud that a fleet needs, one module for each concern. docs/operations/oke.md says in which order.

data "oci_identity_availability_domains" "all" {
  compartment_id = var.tenancy_id
}

data "oci_objectstorage_namespace" "own" {
  compartment_id = var.compartment_id
}

locals {
  tags = { application = var.name, size = var.size }

  # As the fleet calls them where nobody says otherwise.
  buckets = { checkpoints = "agent-checkpoints", audit = "agent-audit" }

  # What the overlays of the same name ask for, and a node to spare. docs/operations/capacity.md has the sums.
  sizes = {
    development = {
      nodes = { core = { count = 1, ocpus = 2, memory = 16 }, agents = { count = 1, ocpus = 4, memory = 32 } }
      redis = { mode = "NONSHARDED", nodes = 1, shards = null, memory = 2 }
    }
    production = {
      nodes = { core = { count = 3, ocpus = 4, memory = 32 }, agents = { count = 3, ocpus = 4, memory = 32 } }
      redis = { mode = "NONSHARDED", nodes = 3, shards = null, memory = 8 }
    }
    high-scale = {
      nodes = { core = { count = 6, ocpus = 8, memory = 64 }, agents = { count = 6, ocpus = 8, memory = 64 } }
      redis = { mode = "SHARDED", nodes = 2, shards = 3, memory = 16 }
    }
  }
  size = local.sizes[var.size]
}

module "network" {
  source         = "./modules/network"
  compartment_id = var.compartment_id
  name           = var.name
  tags           = local.tags
  vcn_cidr       = var.vcn_cidr
  operator_cidrs = var.operator_cidrs
  caller_cidrs   = var.caller_cidrs
}

module "vault" {
  source         = "./modules/vault"
  compartment_id = var.compartment_id
  name           = var.name
  tags           = local.tags
}

module "cluster" {
  source               = "./modules/cluster"
  compartment_id       = var.compartment_id
  name                 = var.name
  tags                 = local.tags
  kubernetes_version   = var.kubernetes_version
  node_image_id        = var.node_image_id
  node_pools           = local.size.nodes
  availability_domains = data.oci_identity_availability_domains.all.availability_domains[*].name
  network              = module.network
  key_id               = module.vault.key_id
  # It is encrypted with that key from its first moment.
  depends_on = [module.identity]
}

module "cache" {
  source           = "./modules/cache"
  compartment_id   = var.compartment_id
  name             = var.name
  tags             = local.tags
  software_version = var.redis_version
  redis            = local.size.redis
  subnet_id        = module.network.subnet_ids.redis
  nsg_id           = module.network.nsg_ids.redis
}

module "storage" {
  source               = "./modules/storage"
  providers            = { oci = oci, oci.replica = oci.replica }
  compartment_id       = var.compartment_id
  tags                 = local.tags
  buckets              = local.buckets
  namespace            = data.oci_objectstorage_namespace.own.namespace
  replica_region       = var.replica_region
  audit_retention_days = var.audit_retention_days
  key_id               = module.vault.key_id
  # Object Storage removes and copies objects, and reads the key, by these.
  depends_on = [module.identity]
}

module "streaming" {
  source         = "./modules/streaming"
  compartment_id = var.compartment_id
  name           = var.name
  tags           = local.tags
  subnet_id      = module.network.subnet_ids.services
  nsg_id         = module.network.nsg_ids.services
}

module "registry" {
  source         = "./modules/registry"
  compartment_id = var.compartment_id
  name           = var.name
  tags           = local.tags
}

module "gateway" {
  source              = "./modules/gateway"
  compartment_id      = var.compartment_id
  name                = var.name
  tags                = local.tags
  subnet_id           = module.network.subnet_ids.gateway
  nsg_id              = module.network.nsg_ids.gateway
  backend             = var.api_backend
  callers             = var.callers
  requests_per_second = var.requests_per_second
}

module "observability" {
  source         = "./modules/observability"
  compartment_id = var.compartment_id
  name           = var.name
  tags           = local.tags
  alarm_emails   = var.alarm_emails
  audit_bucket   = module.storage.audit_bucket
  namespace      = data.oci_objectstorage_namespace.own.namespace
  gateway        = { is_deployed = var.api_backend != null, deployment_id = module.gateway.deployment_id }
  depends_on     = [module.identity]
}

module "identity" {
  source         = "./modules/identity"
  providers      = { oci = oci.home }
  compartment_id = var.compartment_id
  name           = var.name
  tags           = local.tags
  region         = var.region
  key_id         = module.vault.key_id
  audit_bucket   = local.buckets.audit
}

module "workloads" {
  source            = "./modules/workloads"
  providers         = { oci = oci.home }
  compartment_id    = var.compartment_id
  name              = var.name
  tags              = local.tags
  cluster_id        = module.cluster.cluster_id
  checkpoint_bucket = local.buckets.checkpoints
}
