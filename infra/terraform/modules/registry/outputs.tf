output "repository" {
  description = "Name of the repository."
  value       = oci_artifacts_container_repository.this.display_name
}
