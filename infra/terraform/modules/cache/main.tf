# Redis, managed. docs/operations/redis.md says what its durability is worth, and when to run one of your own instead.

resource "oci_redis_oci_cache_config_set" "this" {
  compartment_id   = var.compartment_id
  display_name     = var.name
  description      = "No work may be evicted."
  software_version = var.software_version
  freeform_tags    = var.tags
  configuration_details {
    items {
      config_key   = "maxmemory-policy"
      config_value = "noeviction"
    }
  }
}

resource "oci_redis_redis_cluster" "this" {
  compartment_id          = var.compartment_id
  display_name            = var.name
  software_version        = var.software_version
  oci_cache_config_set_id = oci_redis_oci_cache_config_set.this.id
  cluster_mode            = var.redis.mode
  shard_count             = var.redis.shards
  node_count              = var.redis.nodes
  node_memory_in_gbs      = var.redis.memory
  subnet_id               = var.subnet_id
  nsg_ids                 = [var.nsg_id]
  freeform_tags           = var.tags
  # It holds what is not yet archived.
  lifecycle {
    prevent_destroy = true
  }
}
