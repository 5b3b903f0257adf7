# One network, closed by default: the default security list is emptied, subnets have no other, and what may talk to what is
# written down as rules between security groups.

data "oci_core_services" "all" {
  filter {
    name   = "name"
    values = ["All .* Services In Oracle Services Network"]
    regex  = true
  }
}

locals {
  oracle_services = data.oci_core_services.all.services[0]
  subnets = {
    gateway        = { cidr = cidrsubnet(var.vcn_cidr, 8, 0), is_public = true }
    control        = { cidr = cidrsubnet(var.vcn_cidr, 12, 16), is_public = false }
    load_balancers = { cidr = cidrsubnet(var.vcn_cidr, 8, 2), is_public = false }
    services       = { cidr = cidrsubnet(var.vcn_cidr, 8, 4), is_public = false }
    nodes          = { cidr = cidrsubnet(var.vcn_cidr, 5, 1), is_public = false }
    # The overlays name this one.
    redis = { cidr = cidrsubnet(var.vcn_cidr, 8, 20), is_public = false }
    pods  = { cidr = cidrsubnet(var.vcn_cidr, 2, 1), is_public = false }
  }
}

resource "oci_core_vcn" "this" {
  compartment_id = var.compartment_id
  display_name   = var.name
  cidr_blocks    = [var.vcn_cidr]
  dns_label      = replace(var.name, "-", "")
  freeform_tags  = var.tags
}

resource "oci_core_internet_gateway" "this" {
  compartment_id = var.compartment_id
  vcn_id         = oci_core_vcn.this.id
  display_name   = var.name
  freeform_tags  = var.tags
}

# Agents call models and tools by it.
resource "oci_core_nat_gateway" "this" {
  compartment_id = var.compartment_id
  vcn_id         = oci_core_vcn.this.id
  display_name   = var.name
  freeform_tags  = var.tags
}

# Object Storage, Logging, Monitoring and the registry are reached without the internet.
resource "oci_core_service_gateway" "this" {
  compartment_id = var.compartment_id
  vcn_id         = oci_core_vcn.this.id
  display_name   = var.name
  freeform_tags  = var.tags
  services {
    service_id = local.oracle_services.id
  }
}

resource "oci_core_default_security_list" "closed" {
  manage_default_resource_id = oci_core_vcn.this.default_security_list_id
  display_name               = "${var.name}-closed"
  freeform_tags              = var.tags
}

resource "oci_core_route_table" "public" {
  compartment_id = var.compartment_id
  vcn_id         = oci_core_vcn.this.id
  display_name   = "${var.name}-public"
  freeform_tags  = var.tags
  route_rules {
    destination       = "0.0.0.0/0"
    destination_type  = "CIDR_BLOCK"
    network_entity_id = oci_core_internet_gateway.this.id
  }
}

resource "oci_core_route_table" "private" {
  compartment_id = var.compartment_id
  vcn_id         = oci_core_vcn.this.id
  display_name   = "${var.name}-private"
  freeform_tags  = var.tags
  route_rules {
    destination       = "0.0.0.0/0"
    destination_type  = "CIDR_BLOCK"
    network_entity_id = oci_core_nat_gateway.this.id
  }
  route_rules {
    destination       = local.oracle_services.cidr_block
    destination_type  = "SERVICE_CIDR_BLOCK"
    network_entity_id = oci_core_service_gateway.this.id
  }
}

resource "oci_core_subnet" "this" {
  for_each                   = local.subnets
  compartment_id             = var.compartment_id
  vcn_id                     = oci_core_vcn.this.id
  display_name               = "${var.name}-${each.key}"
  dns_label                  = replace(each.key, "_", "")
  cidr_block                 = each.value.cidr
  prohibit_public_ip_on_vnic = !each.value.is_public
  prohibit_internet_ingress  = !each.value.is_public
  route_table_id             = each.value.is_public ? oci_core_route_table.public.id : oci_core_route_table.private.id
  security_list_ids          = [oci_core_default_security_list.closed.id]
  freeform_tags              = var.tags
}

resource "oci_core_network_security_group" "this" {
  for_each       = local.subnets
  compartment_id = var.compartment_id
  vcn_id         = oci_core_vcn.this.id
  display_name   = "${var.name}-${each.key}"
  freeform_tags  = var.tags
}
