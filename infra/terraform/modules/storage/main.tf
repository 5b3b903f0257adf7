# Blobs and the archive, a copy of both in another region, and a place for audit lines that nobody can change.

resource "oci_objectstorage_bucket" "checkpoints" {
  compartment_id = var.compartment_id
  namespace      = var.namespace
  name           = var.buckets.checkpoints
  access_type    = "NoPublicAccess"
  storage_tier   = "Standard"
  auto_tiering   = "Disabled"
  # What is written under a name is named by its hash, and never changes; versions would keep what the fleet has removed.
  versioning    = "Disabled"
  kms_key_id    = var.key_id
  freeform_tags = var.tags
  lifecycle {
    prevent_destroy = true
  }
}

# Only what has ended is removed here. What is below open/ is the only copy of a workflow that Redis has lost, and blobs/ are
# named by workflows that live.
resource "oci_objectstorage_object_lifecycle_policy" "checkpoints" {
  namespace = var.namespace
  bucket    = oci_objectstorage_bucket.checkpoints.name
  rules {
    name        = "ended"
    is_enabled  = true
    target      = "objects"
    action      = "DELETE"
    time_amount = 7
    time_unit   = "DAYS"
    object_name_filter {
      inclusion_prefixes = ["ended/"]
    }
  }
  # What a killed process has left of a large blob.
  rules {
    name        = "incoming"
    is_enabled  = true
    target      = "objects"
    action      = "DELETE"
    time_amount = 1
    time_unit   = "DAYS"
    object_name_filter {
      inclusion_prefixes = ["incoming/"]
    }
  }
  rules {
    name        = "uploads"
    is_enabled  = true
    target      = "multipart-uploads"
    action      = "ABORT"
    time_amount = 1
    time_unit   = "DAYS"
  }
}

# Written by replication alone, which follows deletions too: a rebuild there finds what one here would.
resource "oci_objectstorage_bucket" "replica" {
  provider       = oci.replica
  compartment_id = var.compartment_id
  namespace      = var.namespace
  name           = "${oci_objectstorage_bucket.checkpoints.name}-replica"
  access_type    = "NoPublicAccess"
  storage_tier   = "Standard"
  versioning     = "Disabled"
  freeform_tags  = var.tags
  lifecycle {
    prevent_destroy = true
  }
}

resource "oci_objectstorage_replication_policy" "checkpoints" {
  namespace                           = var.namespace
  bucket                              = oci_objectstorage_bucket.checkpoints.name
  name                                = "to-${var.replica_region}"
  destination_bucket_name             = oci_objectstorage_bucket.replica.name
  destination_region_name             = var.replica_region
  delete_object_in_destination_bucket = "DECLINE"
}

resource "oci_objectstorage_bucket" "audit" {
  compartment_id = var.compartment_id
  namespace      = var.namespace
  name           = var.buckets.audit
  access_type    = "NoPublicAccess"
  storage_tier   = "Standard"
  versioning     = "Disabled"
  kms_key_id     = var.key_id
  freeform_tags  = var.tags
  # Not locked: a lock cannot be taken back, not by Oracle either. Lock it by hand once the number of days is agreed.
  retention_rules {
    display_name = "audit"
    duration {
      time_amount = var.audit_retention_days
      time_unit   = "DAYS"
    }
  }
}
