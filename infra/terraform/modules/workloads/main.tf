# What each role of the fleet may do, by its own service account in its own cluster. Nobody may manage a bucket or a key.

locals {
  # Service account to what it may do, and on what condition beside its identity.
  workloads = {
    flotilla-api = [
      { may = "manage objects", where = "target.bucket.name = '${var.checkpoint_bucket}'" },
      { may = "read buckets", where = "target.bucket.name = '${var.checkpoint_bucket}'" },
      { may = "use log-content", where = null },
    ]
    flotilla-supervisor = [
      { may = "manage objects", where = "target.bucket.name = '${var.checkpoint_bucket}'" },
      { may = "read buckets", where = "target.bucket.name = '${var.checkpoint_bucket}'" },
      { may = "use stream-push", where = null },
      { may = "use log-content", where = null },
      { may = "use metrics", where = "target.metrics.namespace = 'multi_agent'" },
    ]
    flotilla-agent = [
      { may = "manage objects", where = "target.bucket.name = '${var.checkpoint_bucket}'" },
      { may = "read buckets", where = "target.bucket.name = '${var.checkpoint_bucket}'" },
      { may = "use metrics", where = "target.metrics.namespace = 'multi_agent'" },
    ]
  }
  is_workload = "request.principal.type = 'workload', request.principal.namespace = 'flotilla', request.principal.cluster_id = '${var.cluster_id}'"
  of_workloads = flatten([
    for account, rights in local.workloads : [
      for right in rights :
      "Allow any-user to ${right.may} in compartment id ${var.compartment_id} where all {${join(", ", compact([local.is_workload, "request.principal.service_account = '${account}'", right.where]))}}"
    ]
  ])
}

resource "oci_identity_policy" "this" {
  compartment_id = var.compartment_id
  name           = "${var.name}-workloads"
  description    = "What the roles of the fleet may do"
  statements     = local.of_workloads
  freeform_tags  = var.tags
}

