output "cluster_id" {
  description = "For oci ce cluster create-kubeconfig."
  value       = module.cluster.cluster_id
}

output "overlay" {
  description = "What the overlay of kubernetes/ is told."
  value = {
    REDIS_HOST           = module.cache.host
    REDIS_TLS            = "1"
    REDIS_CLUSTER        = module.cache.is_sharded ? "1" : "0"
    redis_cidr           = module.network.cidrs.redis
    load_balancer_nsg    = module.network.nsg_ids.load_balancers
    load_balancer_subnet = module.network.subnet_ids.load_balancers
    OCI_AUTH             = "oke_workload_identity"
    OCI_REGION           = var.region
    OCI_NAMESPACE        = data.oci_objectstorage_namespace.own.namespace
    OCI_COMPARTMENT_ID   = var.compartment_id
    OCI_STREAM_ID        = module.streaming.stream_id
    AUDIT_LOG_OCID       = module.observability.audit_log_id
  }
}

output "image" {
  description = "Path of the image in the registry of the region."
  value       = "${data.oci_objectstorage_namespace.own.namespace}/${module.registry.repository}"
}

output "api" {
  description = "Address of the API for callers; null until api_backend is set."
  value       = module.gateway.endpoint
}

output "vault_id" {
  description = "Where secrets are put by hand."
  value       = module.vault.vault_id
}
