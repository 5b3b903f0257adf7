output "endpoint" {
  description = "Address of the API; null where it is not deployed yet."
  value       = one(oci_apigateway_deployment.api[*].endpoint)
}

output "deployment_id" {
  description = "OCID of the deployment; null where it is not deployed yet."
  value       = one(oci_apigateway_deployment.api[*].id)
}
