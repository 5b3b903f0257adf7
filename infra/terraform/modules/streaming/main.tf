# Events of workflows for whoever wants to follow them; reached from inside the network only.

resource "oci_streaming_stream_pool" "this" {
  compartment_id = var.compartment_id
  name           = var.name
  freeform_tags  = var.tags
  private_endpoint_settings {
    subnet_id = var.subnet_id
    nsg_ids   = [var.nsg_id]
  }
  kafka_settings {
    auto_create_topics_enable = false
  }
}

resource "oci_streaming_stream" "events" {
  name           = "${var.name}-events"
  stream_pool_id = oci_streaming_stream_pool.this.id
  # A partition takes 1 MB a second; events of one workflow stay in one.
  partitions         = var.partitions
  retention_in_hours = 168
  freeform_tags      = var.tags
}
