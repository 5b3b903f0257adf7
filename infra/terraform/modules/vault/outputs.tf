output "vault_id" {
  description = "OCID of the vault."
  value       = oci_kms_vault.this.id
}

output "key_id" {
  description = "OCID of the key."
  value       = oci_kms_key.this.id
}
