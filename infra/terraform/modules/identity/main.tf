# What the services of Oracle may do for the fleet. They need it before what they act on is made.

locals {
  object_storage = "objectstorage-${var.region}"
  is_service     = "request.principal.compartment.id = '${var.compartment_id}'"
  statements = [
    # Lifecycle rules and replication.
    "Allow service ${local.object_storage} to manage object-family in compartment id ${var.compartment_id}",
    "Allow service ${local.object_storage} to use keys in compartment id ${var.compartment_id} where target.key.id = '${var.key_id}'",
    # The cluster encrypts what it keeps.
    "Allow any-user to use keys in compartment id ${var.compartment_id} where all {request.principal.type = 'cluster', ${local.is_service}, target.key.id = '${var.key_id}'}",
    # Audit lines into their bucket.
    "Allow any-user to manage objects in compartment id ${var.compartment_id} where all {request.principal.type = 'serviceconnector', ${local.is_service}, target.bucket.name = '${var.audit_bucket}'}",
  ]
}

resource "oci_identity_policy" "services" {
  compartment_id = var.compartment_id
  name           = "${var.name}-services"
  description    = "What services of Oracle may do for the fleet"
  statements     = local.statements
  freeform_tags  = var.tags
}
