# An enhanced cluster, which workload identity needs, and its nodes over all availability domains.

locals {
  network_type = "OCI_VCN_IP_NATIVE"
}

resource "oci_containerengine_cluster" "this" {
  compartment_id     = var.compartment_id
  name               = var.name
  type               = "ENHANCED_CLUSTER"
  kubernetes_version = var.kubernetes_version
  vcn_id             = var.network.vcn_id
  # What Kubernetes keeps, secrets among it, is encrypted with our key.
  kms_key_id    = var.key_id
  freeform_tags = var.tags

  cluster_pod_network_options {
    cni_type = local.network_type
  }
  endpoint_config {
    is_public_ip_enabled = false
    subnet_id            = var.network.subnet_ids.control
    nsg_ids              = [var.network.nsg_ids.control]
  }
  options {
    service_lb_subnet_ids = [var.network.subnet_ids.load_balancers]
    kubernetes_network_config {
      services_cidr = "10.96.0.0/16"
    }
  }
}

resource "oci_containerengine_node_pool" "this" {
  for_each           = var.node_pools
  compartment_id     = var.compartment_id
  cluster_id         = oci_containerengine_cluster.this.id
  name               = "${var.name}-${each.key}"
  kubernetes_version = var.kubernetes_version
  node_shape         = var.node_shape
  freeform_tags      = var.tags

  node_shape_config {
    ocpus         = each.value.ocpus
    memory_in_gbs = each.value.memory
  }
  node_source_details {
    source_type = "IMAGE"
    image_id    = var.node_image_id
  }
  initial_node_labels {
    key   = "flotilla-pool"
    value = each.key
  }
  node_config_details {
    size                                = each.value.count
    nsg_ids                             = [var.network.nsg_ids.nodes]
    is_pv_encryption_in_transit_enabled = true
    dynamic "placement_configs" {
      for_each = var.availability_domains
      content {
        availability_domain = placement_configs.value
        subnet_id           = var.network.subnet_ids.nodes
      }
    }
    node_pool_pod_network_option_details {
      cni_type       = local.network_type
      pod_subnet_ids = [var.network.subnet_ids.pods]
      pod_nsg_ids    = [var.network.nsg_ids.pods]
    }
  }
  # Longer than the grace of a pod: whoever is evicted hands back what it has.
  node_eviction_node_pool_settings {
    eviction_grace_duration              = "PT5M"
    is_force_delete_after_grace_duration = true
  }
  node_pool_cycling_details {
    is_node_cycling_enabled = true
    maximum_surge           = "1"
    maximum_unavailable     = "0"
  }
  # An autoscaler of nodes changes the size.
  lifecycle {
    ignore_changes = [node_config_details[0].size]
  }
}
