# The thresholds of infra/prometheus/rules.yml, for those who have no Prometheus; a test holds the two together.

locals {
  metrics = "multi_agent"
  alarms  = { for alarm in jsondecode(file("${path.module}/alarms.json")) : alarm.name => alarm }
  # Counters are posted as what they rose by in a minute.
  selectors = { for name, alarm in local.alarms :
    name => "${alarm.metric}[${try(alarm.windowMinutes, 1)}m]${can(alarm.outcome) ? "{outcome = \"${alarm.outcome}\"}" : ""}${can(alarm.groupBy) ? ".groupBy(${alarm.groupBy})" : ""}"
  }
}

resource "oci_ons_notification_topic" "alarms" {
  compartment_id = var.compartment_id
  name           = "${var.name}-alarms"
  description    = "Alarms of the fleet"
  freeform_tags  = var.tags
}

resource "oci_ons_subscription" "email" {
  for_each       = toset(var.alarm_emails)
  compartment_id = var.compartment_id
  topic_id       = oci_ons_notification_topic.alarms.id
  protocol       = "EMAIL"
  endpoint       = each.value
  freeform_tags  = var.tags
}

resource "oci_monitoring_alarm" "this" {
  for_each              = local.alarms
  compartment_id        = var.compartment_id
  metric_compartment_id = var.compartment_id
  namespace             = local.metrics
  display_name          = each.key
  is_enabled            = true
  severity              = each.value.severity
  query                 = each.value.statistic == "absent" ? "${local.selectors[each.key]}.absent()" : "${local.selectors[each.key]}.${each.value.statistic}() ${each.value.operator} ${each.value.threshold}"
  pending_duration      = "PT${each.value.forMinutes}M"
  resolution            = "1m"
  message_format        = "ONS_OPTIMIZED"
  alarm_summary         = each.value.summary
  body                  = "What it means and what to do: ${each.value.runbook}"
  # Who has not answered in an hour is asked again.
  repeat_notification_duration = "PT1H"
  destinations                 = [oci_ons_notification_topic.alarms.id]
  freeform_tags                = var.tags
}
