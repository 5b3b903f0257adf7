# Workflow performance, agents by type, and every alarm's number beside its threshold, in the console.

locals {
  # Title, query, and by what its series are told apart.
  workflow_charts = [
    { title = "Workflows active", mql = "flotilla_active_workflows[auto].max()", series = "name" },
    { title = "Workflow duration, p50 (s)", mql = "workflow_duration_p50[auto].max()", series = "name" },
    { title = "Workflow duration, p99 (s)", mql = "workflow_duration_p99[auto].max()", series = "name" },
  ]
  agent_charts = [
    { title = "Backlog by agent type", mql = "flotilla_queue_backlog[auto].groupBy(agent_type).max()", series = "dimensions.agent_type" },
    { title = "Running tasks by agent type", mql = "flotilla_running_tasks[auto].groupBy(agent_type).sum()", series = "dimensions.agent_type" },
  ]
  alarm_charts = [
    for name, alarm in local.alarms : {
      title  = "${name} (${alarm.operator} ${alarm.threshold})"
      mql    = "${alarm.metric}[auto].${alarm.statistic}()"
      series = "name"
    } if alarm.statistic != "absent"
  ]
  charts = concat(local.workflow_charts, local.agent_charts, local.alarm_charts)
  # The widget of Monitoring that every tenancy has.
  widget = "OOBSS-management-dashboard-123"
}

resource "oci_management_dashboard_management_dashboards_import" "this" {
  override_dashboard_compartment_ocid = var.compartment_id
  override_same_name                  = "true"
  import_details = jsonencode({
    dashboards = [{
      dashboardId       = "${var.name}-overview"
      displayName       = "${var.name}: workflows, agents, alarms"
      description       = "Made by Terraform; changes in the console are lost"
      compartmentId     = var.compartment_id
      providerId        = "management-dashboard"
      providerName      = "Management Dashboard"
      providerVersion   = "3.0.0"
      type              = "normal"
      metadataVersion   = "2.0"
      screenImage       = " "
      isOobDashboard    = false
      isShowInHome      = false
      isShowDescription = true
      isFavorite        = false
      nls               = {}
      uiConfig          = { isFilteringEnabled = false, isRefreshEnabled = true, isTimeRangeEnabled = true }
      dataConfig        = []
      savedSearches     = []
      drilldownConfig   = []
      freeformTags      = var.tags
      definedTags       = {}
      parametersConfig  = [{ name = "time", src = "$(context.time)" }]
      tiles = [for index, chart in local.charts : {
        displayName     = chart.title
        savedSearchId   = local.widget
        row             = 3 * floor(index / 2)
        column          = 6 * (index % 2)
        height          = 3
        width           = 6
        nls             = {}
        state           = "DEFAULT"
        drilldownConfig = []
        parametersMap   = { time = "$(dashboard.params.time)" }
        uiConfig = {
          internalKey       = local.widget
          defaultDataSource = "${local.metrics}/${index}"
          chartInfo = {
            colorBy = chart.series
            series  = chart.series
            group   = "aggregatedDatapoints.timestamp"
            value   = "aggregatedDatapoints.value"
          }
          jetConfig = { type = "line", timeAxisType = "enabled", legend = { position = "top", rendered = true } }
        }
        dataConfig = [{
          name = "${local.metrics}/${index}"
          type = "monitoringDataSource"
          parameters = {
            compartmentId = var.compartment_id
            namespace     = local.metrics
            mql           = chart.mql
            startTime     = "$(params.time.start)"
            endTime       = "$(params.time.end)"
          }
        }]
      }]
    }]
  })
}
