# What processes say, what was done and by whom, and what came through the gateway.

resource "oci_logging_log_group" "this" {
  compartment_id = var.compartment_id
  display_name   = var.name
  description    = "Logs of the fleet"
  freeform_tags  = var.tags
}

resource "oci_logging_log" "audit" {
  log_group_id       = oci_logging_log_group.this.id
  display_name       = "audit"
  log_type           = "CUSTOM"
  is_enabled         = true
  retention_duration = 180
  freeform_tags      = var.tags
}

resource "oci_logging_log" "gateway" {
  for_each           = toset(var.gateway.is_deployed ? ["access", "execution"] : [])
  log_group_id       = oci_logging_log_group.this.id
  display_name       = "gateway-${each.value}"
  log_type           = "SERVICE"
  is_enabled         = true
  retention_duration = 30
  freeform_tags      = var.tags
  configuration {
    compartment_id = var.compartment_id
    source {
      source_type = "OCISERVICE"
      service     = "apigateway"
      category    = each.value
      resource    = var.gateway.deployment_id
    }
  }
}

# Logging forgets; the bucket keeps, and lets nobody change what is in it.
resource "oci_sch_service_connector" "audit" {
  compartment_id = var.compartment_id
  display_name   = "${var.name}-audit"
  description    = "Audit lines to where nobody can change them"
  freeform_tags  = var.tags
  source {
    kind = "logging"
    log_sources {
      compartment_id = var.compartment_id
      log_group_id   = oci_logging_log_group.this.id
      log_id         = oci_logging_log.audit.id
    }
  }
  target {
    kind                       = "objectStorage"
    namespace                  = var.namespace
    bucket                     = var.audit_bucket
    object_name_prefix         = "audit"
    batch_rollover_size_in_mbs = 100
    batch_rollover_time_in_ms  = 420000
  }
}
