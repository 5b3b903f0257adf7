# What may talk to what. A line between two groups stands for both ends: out of the first, into the second.

locals {
  tcp  = "6"
  icmp = "1"

  # From, to, and ports; all of TCP where there are none.
  between = [
    { from = "gateway", to = "load_balancers", ports = [80, 80], why = "the gateway calls the API" },
    { from = "load_balancers", to = "nodes", ports = [30000, 32767], why = "to the node ports of the API" },
    { from = "load_balancers", to = "nodes", ports = [10256, 10256], why = "whether a node serves" },
    { from = "load_balancers", to = "pods", ports = [8080, 8080], why = "to the pods of the API" },
    { from = "nodes", to = "control", ports = [6443, 6443], why = "kubelets to the API server" },
    { from = "nodes", to = "control", ports = [12250, 12250], why = "kubelets to the control plane" },
    { from = "pods", to = "control", ports = [6443, 6443], why = "pods that ask the API server" },
    { from = "pods", to = "control", ports = [12250, 12250], why = "workload identity" },
    { from = "control", to = "nodes", ports = [10250, 10250], why = "the control plane to kubelets" },
    { from = "control", to = "pods", ports = null, why = "the aggregation layer and webhooks" },
    { from = "nodes", to = "pods", ports = null, why = "probes of kubelets" },
    { from = "pods", to = "nodes", ports = [10250, 10250], why = "the metrics server" },
    { from = "pods", to = "pods", ports = null, why = "what NetworkPolicies let through" },
    { from = "pods", to = "redis", ports = [6379, 6379], why = "the fleet's Redis" },
    { from = "pods", to = "services", ports = [443, 443], why = "Streaming" },
  ]

  to_oracle = ["nodes", "pods", "control"]

  # Addresses outside of the network.
  from_outside = merge(
    { for cidr in var.caller_cidrs : "callers-${cidr}" => { group = "gateway", cidr = cidr, port = 443 } },
    { for cidr in var.operator_cidrs : "operators-${cidr}" => { group = "control", cidr = cidr, port = 6443 } },
  )
}

resource "oci_core_network_security_group_security_rule" "out" {
  for_each                  = { for rule in local.between : "${rule.from}-${rule.to}-${try(rule.ports[0], "all")}" => rule }
  network_security_group_id = oci_core_network_security_group.this[each.value.from].id
  direction                 = "EGRESS"
  protocol                  = local.tcp
  destination               = oci_core_network_security_group.this[each.value.to].id
  destination_type          = "NETWORK_SECURITY_GROUP"
  description               = each.value.why
  dynamic "tcp_options" {
    for_each = each.value.ports == null ? [] : [each.value.ports]
    content {
      destination_port_range {
        min = tcp_options.value[0]
        max = tcp_options.value[1]
      }
    }
  }
}

resource "oci_core_network_security_group_security_rule" "in" {
  for_each                  = { for rule in local.between : "${rule.from}-${rule.to}-${try(rule.ports[0], "all")}" => rule }
  network_security_group_id = oci_core_network_security_group.this[each.value.to].id
  direction                 = "INGRESS"
  protocol                  = local.tcp
  source                    = oci_core_network_security_group.this[each.value.from].id
  source_type               = "NETWORK_SECURITY_GROUP"
  description               = each.value.why
  dynamic "tcp_options" {
    for_each = each.value.ports == null ? [] : [each.value.ports]
    content {
      destination_port_range {
        min = tcp_options.value[0]
        max = tcp_options.value[1]
      }
    }
  }
}

resource "oci_core_network_security_group_security_rule" "dns" {
  for_each                  = toset(["EGRESS", "INGRESS"])
  network_security_group_id = oci_core_network_security_group.this["pods"].id
  direction                 = each.value
  protocol                  = "17"
  destination               = each.value == "EGRESS" ? oci_core_network_security_group.this["pods"].id : null
  destination_type          = each.value == "EGRESS" ? "NETWORK_SECURITY_GROUP" : null
  source                    = each.value == "INGRESS" ? oci_core_network_security_group.this["pods"].id : null
  source_type               = each.value == "INGRESS" ? "NETWORK_SECURITY_GROUP" : null
  description               = "DNS of the cluster"
  udp_options {
    destination_port_range {
      min = 53
      max = 53
    }
  }
}

resource "oci_core_network_security_group_security_rule" "to_oracle" {
  for_each                  = toset(local.to_oracle)
  network_security_group_id = oci_core_network_security_group.this[each.value].id
  direction                 = "EGRESS"
  protocol                  = local.tcp
  destination               = local.oracle_services.cidr_block
  destination_type          = "SERVICE_CIDR_BLOCK"
  description               = "services of Oracle Cloud"
  tcp_options {
    destination_port_range {
      min = 443
      max = 443
    }
  }
}

# Models and what tools call, from pods: which of them may is said by the NetworkPolicy allow-model. The gateway fetches the
# keys that it verifies tokens by.
resource "oci_core_network_security_group_security_rule" "to_internet" {
  for_each                  = { pods = "models and tools", gateway = "keys of who signs tokens" }
  network_security_group_id = oci_core_network_security_group.this[each.key].id
  direction                 = "EGRESS"
  protocol                  = local.tcp
  destination               = "0.0.0.0/0"
  destination_type          = "CIDR_BLOCK"
  description               = each.value
  tcp_options {
    destination_port_range {
      min = 443
      max = 443
    }
  }
}

resource "oci_core_network_security_group_security_rule" "from_outside" {
  for_each                  = local.from_outside
  network_security_group_id = oci_core_network_security_group.this[each.value.group].id
  direction                 = "INGRESS"
  protocol                  = local.tcp
  source                    = each.value.cidr
  source_type               = "CIDR_BLOCK"
  description               = each.key
  tcp_options {
    destination_port_range {
      min = each.value.port
      max = each.value.port
    }
  }
}

# Without it a packet that is too large for a path vanishes, and a connection hangs.
resource "oci_core_network_security_group_security_rule" "path_discovery" {
  for_each                  = local.subnets
  network_security_group_id = oci_core_network_security_group.this[each.key].id
  direction                 = "INGRESS"
  protocol                  = local.icmp
  source                    = each.value.is_public ? "0.0.0.0/0" : var.vcn_cidr
  source_type               = "CIDR_BLOCK"
  description               = "fragmentation needed"
  icmp_options {
    type = 3
    code = 4
  }
}
