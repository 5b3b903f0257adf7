output "audit_log_id" {
  description = "OCID of the log of audit lines."
  value       = oci_logging_log.audit.id
}
