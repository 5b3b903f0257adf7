output "vcn_id" {
  description = "OCID of the network."
  value       = oci_core_vcn.this.id
}

output "subnet_ids" {
  description = "Name of a subnet to its OCID."
  value       = { for name, subnet in oci_core_subnet.this : name => subnet.id }
}

output "nsg_ids" {
  description = "Name of a subnet to the OCID of its security group."
  value       = { for name, group in oci_core_network_security_group.this : name => group.id }
}

output "cidrs" {
  description = "Name of a subnet to its addresses."
  value       = { for name, subnet in local.subnets : name => subnet.cidr }
}
