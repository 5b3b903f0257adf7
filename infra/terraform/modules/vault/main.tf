# Keys, and a place for secrets. No secret is made here: what Terraform makes, it keeps in its state in clear.

resource "oci_kms_vault" "this" {
  compartment_id = var.compartment_id
  display_name   = var.name
  vault_type     = "DEFAULT"
  freeform_tags  = var.tags
  lifecycle {
    prevent_destroy = true
  }
}

resource "oci_kms_key" "this" {
  compartment_id           = var.compartment_id
  display_name             = var.name
  management_endpoint      = oci_kms_vault.this.management_endpoint
  protection_mode          = "HSM"
  is_auto_rotation_enabled = false
  freeform_tags            = var.tags
  key_shape {
    algorithm = "AES"
    length    = 32
  }
  # Without it everything that it has encrypted is lost.
  lifecycle {
    prevent_destroy = true
  }
}
