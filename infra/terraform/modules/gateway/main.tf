# In front of the API: who calls shows a token that the gateway verifies, and comes no faster than it may. routes.json is made
# from the OpenAPI description of the API by test/src/terraform/routes.ts; a test fails where it is behind.

locals {
  routes = jsondecode(file("${path.module}/routes.json"))
}

resource "oci_apigateway_gateway" "this" {
  compartment_id             = var.compartment_id
  display_name               = var.name
  endpoint_type              = "PUBLIC"
  subnet_id                  = var.subnet_id
  network_security_group_ids = [var.nsg_id]
  freeform_tags              = var.tags
}

resource "oci_apigateway_deployment" "api" {
  count          = var.backend == null ? 0 : 1
  compartment_id = var.compartment_id
  gateway_id     = oci_apigateway_gateway.this.id
  display_name   = "${var.name}-api"
  path_prefix    = "/"
  freeform_tags  = var.tags
  specification {
    logging_policies {
      execution_log {
        log_level = "WARN"
      }
    }
    request_policies {
      # The fleet's own key stays in Authorization, where the API looks for it.
      authentication {
        type                        = "JWT_AUTHENTICATION"
        token_header                = "X-Gateway-Token"
        token_auth_scheme           = "Bearer"
        issuers                     = var.callers.issuers
        audiences                   = var.callers.audiences
        is_anonymous_access_allowed = true
        max_clock_skew_in_seconds   = 10
        public_keys {
          type                        = "REMOTE_JWKS"
          uri                         = var.callers.jwks_uri
          is_ssl_verify_disabled      = false
          max_cache_duration_in_hours = 1
        }
      }
      rate_limiting {
        rate_key                    = "CLIENT_IP"
        rate_in_requests_per_second = var.requests_per_second
      }
    }
    dynamic "routes" {
      for_each = local.routes
      content {
        path    = routes.value.path
        methods = routes.value.methods
        backend {
          type = "HTTP_BACKEND"
          # Each path parameter goes on as it came.
          url                        = "${var.backend}${replace(routes.value.path, "/\\{(\\w+)\\}/", "$${request.path[$1]}")}"
          connect_timeout_in_seconds = 5
          # Of a stream of events this is the longest pause, which comments every 15 s end.
          read_timeout_in_seconds = 60
          send_timeout_in_seconds = 10
        }
        request_policies {
          authorization {
            type = routes.value.isPublic ? "ANONYMOUS" : "AUTHENTICATION_ONLY"
          }
          # The token is the gateway's, and no business of the API.
          header_transformations {
            filter_headers {
              type = "BLOCK"
              items {
                name = "X-Gateway-Token"
              }
            }
          }
        }
      }
    }
  }
}
