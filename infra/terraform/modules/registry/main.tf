resource "oci_artifacts_container_repository" "this" {
  compartment_id = var.compartment_id
  display_name   = var.name
  is_public      = false
  # A tag means the same tomorrow.
  is_immutable  = true
  freeform_tags = var.tags
}
