output "audit_bucket" {
  description = "Name of the bucket of audit lines."
  value       = oci_objectstorage_bucket.audit.name
}
