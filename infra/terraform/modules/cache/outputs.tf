output "is_sharded" {
  description = "Whether it is a Redis Cluster."
  value       = var.redis.mode == "SHARDED"
}

output "host" {
  description = "Name of the primary, or of the discovery endpoint of a cluster."
  value       = var.redis.mode == "SHARDED" ? oci_redis_redis_cluster.this.discovery_fqdn : oci_redis_redis_cluster.this.primary_fqdn
}
