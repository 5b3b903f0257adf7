import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from "prom-client";

const durationBuckets = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 3600];

/** What a process measures; each process fills what it sees. */
export type Metrics = ReturnType<typeof createMetrics>;

/**
 * The metrics of one process, in a registry of its own. Seconds are seconds; labels are bounded.
 * A gauge shows nothing until it is set, so that only the process that knows a number tells it.
 */
export function createMetrics() {
  const registry = new Registry();
  const registers = [registry];
  collectDefaultMetrics({ register: registry });

  const activeWorkflows = new Gauge({
    name: "flotilla_active_workflows",
    help: "Workflows that are started and not parked, fleet-wide",
    registers,
  });
  const dueLagSeconds = new Gauge({
    name: "flotilla_due_lag_seconds",
    help: "How long the most overdue look at a workflow has been waiting",
    registers,
  });
  const checkpointLagSeconds = new Gauge({
    name: "flotilla_checkpoint_lag_seconds",
    help: "How long the archive has been lacking what it lacks most",
    registers,
  });
  const exportLagSeconds = new Gauge({
    name: "flotilla_export_lag_seconds",
    help: "How long the event that has waited longest has been waiting for the stream",
    registers,
  });
  const intakeBlockedSeconds = new Gauge({
    name: "flotilla_intake_blocked_seconds",
    help: "How long the intake of a stream has been waiting for Streaming or for Redis",
    labelNames: ["stream"],
    registers,
  });
  for (const gauge of [activeWorkflows, dueLagSeconds, checkpointLagSeconds, exportLagSeconds]) gauge.remove();

  const handoffs = new Counter({
    name: "flotilla_handoffs_total",
    help: "Handoffs between agents, by what came of them; one that failed is rolled back too",
    labelNames: ["outcome"],
    registers,
  });
  const recoveryOperations = new Counter({
    name: "flotilla_recovery_operations_total",
    help: "Decisions that brought failed or lost work back",
    labelNames: ["strategy"],
    registers,
  });
  const notifications = new Counter({
    name: "flotilla_notifications_total",
    help: "Tries to tell a callback something, by what came of them; what is given up is told by nobody any more",
    labelNames: ["outcome"],
    registers,
  });
  const intakeMessages = new Counter({
    name: "flotilla_intake_messages_total",
    help: "Messages of intake streams by what became of them; one that comes again counts again",
    labelNames: ["outcome"],
    registers,
  });
  // A series that begins at 1 hides its first step from `rate`, so what is rare begins at 0.
  for (const outcome of ["completed", "failed", "rolled_back"]) handoffs.inc({ outcome }, 0);
  for (const outcome of ["stored", "repeated", "dead"]) intakeMessages.inc({ outcome }, 0);
  for (const strategy of ["retry", "redispatch", "quarantine", "repair", "mend"]) {
    recoveryOperations.inc({ strategy }, 0);
  }
  for (const outcome of ["delivered", "failed", "given_up"]) notifications.inc({ outcome }, 0);

  return {
    registry,
    activeWorkflows,
    dueLagSeconds,
    checkpointLagSeconds,
    exportLagSeconds,
    handoffs,
    recoveryOperations,
    notifications,
    exportedEvents: new Counter({
      name: "flotilla_exported_events_total",
      help: "Events that this process appended to the stream; one that is appended again counts again",
      registers,
    }),
    intakeMessages,
    intakeBlockedSeconds,
    queueDepth: new Gauge({
      name: "flotilla_queue_depth",
      help: "Jobs in a queue by BullMQ state",
      labelNames: ["queue", "state"],
      registers,
    }),
    queueOldestAgeSeconds: new Gauge({
      name: "flotilla_queue_oldest_age_seconds",
      help: "Age of the oldest waiting job of a queue",
      labelNames: ["queue"],
      registers,
    }),
    queueBacklog: new Gauge({
      name: "flotilla_queue_backlog",
      help: "Jobs waiting, prioritized or active for an agent type: the number that scales the fleet",
      labelNames: ["agent_type"],
      registers,
    }),
    openItems: new Gauge({
      name: "flotilla_open_items",
      help: "What waits for a person, by kind, fleet-wide",
      labelNames: ["kind"],
      registers,
    }),
    circuitOpen: new Gauge({
      name: "flotilla_circuit_open",
      help: "Circuits that are open (1), or let a few calls through to try (0.5), fleet-wide; closed ones are not there",
      labelNames: ["circuit"],
      registers,
    }),
    workflowDurationSeconds: new Histogram({
      name: "flotilla_workflow_duration_seconds",
      help: "From submission to the end of a workflow",
      buckets: durationBuckets,
      registers,
    }),
    taskDurationSeconds: new Histogram({
      name: "flotilla_task_duration_seconds",
      help: "From the claim of a task to its outcome",
      buckets: durationBuckets,
      registers,
    }),
    runningTasks: new Gauge({
      name: "flotilla_running_tasks",
      help: "Tasks that this process has claimed and not ended",
      labelNames: ["agent_type"],
      registers,
    }),
    agentExecutions: new Counter({
      name: "flotilla_agent_executions_total",
      help: "Claims that ended, by outcome",
      labelNames: ["agent_type", "outcome"],
      registers,
    }),
    modelTokens: new Counter({
      name: "flotilla_model_tokens_total",
      help: "Tokens of the model calls that were made; a call that is replayed from the journal spends none",
      labelNames: ["agent_type", "direction"],
      registers,
    }),
    modelCostUsd: new Counter({
      name: "flotilla_model_cost_usd_total",
      help: "Cost of the model calls that were made, by the prices that are configured; replays cost none",
      labelNames: ["agent_type"],
      registers,
    }),
    fencedWrites: new Counter({
      name: "flotilla_fenced_writes_total",
      help: "Writes refused because a later claim, a cancel or another decision came first",
      labelNames: ["script"],
      registers,
    }),
    lookFailures: new Counter({
      name: "flotilla_look_failures_total",
      help: "Looks at a workflow that threw and were put off",
      registers,
    }),
  };
}
