output "cluster_id" {
  description = "OCID of the cluster."
  value       = oci_containerengine_cluster.this.id
}
