import type { AgentLoad } from "@flotilla/fleet";
import { type LabelSelector, parseLabelSelector } from "./label-selector.ts";

/** Group and version of the API that a horizontal pod autoscaler reads `External` metrics from. */
const groupVersion = "external.metrics.k8s.io/v1beta1";

const group = { name: "external.metrics.k8s.io", version: { groupVersion, version: "v1beta1" } };

/** Where the numbers come from. */
export interface Source {
  loads(): Promise<AgentLoad[]>;
  activeWorkflows(): Promise<number>;
}

/** What is answered: a status and a JSON body. */
export interface Answer {
  status: number;
  body: object;
}

interface Series {
  labels: Record<string, string>;
  value: number;
}

/** Name of a metric, as Prometheus has it too → its series now. */
const metrics: Readonly<Record<string, (source: Source) => Promise<Series[]>>> = {
  flotilla_queue_backlog: async (source) => {
    const loads = await source.loads();
    return loads.map(({ agentType, backlog }) => ({ labels: { agent_type: agentType }, value: backlog }));
  },
  flotilla_active_workflows: async (source) => [{ labels: {}, value: await source.activeWorkflows() }],
};

/**
 * Answers a GET on the API `external.metrics.k8s.io`: discovery, and lists of values by name and label selector. The
 * namespace in the path is not looked at: the numbers are those of one fleet. A `source` that rejects is a 503, upon
 * which an autoscaler leaves everything as it is.
 */
export async function answerGet(source: Source, target: string, now: Date): Promise<Answer> {
  const { pathname, searchParams } = new URL(target, "https://adapter");
  const [, root, name, version, namespaces, namespace, metric, ...rest] = pathname.replace(/\/$/, "").split("/");
  if (root !== "apis" || rest.length > 0) return notFound(pathname);
  if (name === undefined) return ok({ kind: "APIGroupList", apiVersion: "v1", groups: [groupDocument()] });
  if (name !== group.name) return notFound(pathname);
  if (version === undefined) return ok({ kind: "APIGroup", apiVersion: "v1", ...groupDocument() });
  if (version !== group.version.version) return notFound(pathname);
  if (namespaces === undefined) return ok(resourceList());
  if (namespaces !== "namespaces" || !namespace || metric === undefined) return notFound(pathname);

  const read = Object.hasOwn(metrics, metric) ? metrics[metric] : undefined;
  if (!read) return status(404, "NotFound", `there is no metric ${metric}`);
  const selector = parseLabelSelector(searchParams.get("labelSelector") ?? "");
  if (!selector) return status(400, "BadRequest", "the label selector is not understood");
  try {
    return ok(valueList(metric, await read(source), selector, now));
  } catch {
    return status(503, "ServiceUnavailable", "the fleet's Redis does not answer");
  }
}

function groupDocument() {
  return { name: group.name, versions: [group.version], preferredVersion: group.version };
}

function resourceList() {
  const resources = Object.keys(metrics).map((name) => ({
    name,
    singularName: "",
    namespaced: true,
    kind: "ExternalMetricValueList",
    verbs: ["get"],
  }));
  return { kind: "APIResourceList", apiVersion: "v1", groupVersion, resources };
}

function valueList(metricName: string, series: readonly Series[], selector: LabelSelector, now: Date) {
  return {
    kind: "ExternalMetricValueList",
    apiVersion: groupVersion,
    metadata: {},
    items: series
      .filter(({ labels }) => selector(labels))
      .map(({ labels, value }) => ({
        metricName,
        metricLabels: labels,
        // Times of Kubernetes have no fractions.
        timestamp: `${now.toISOString().slice(0, 19)}Z`,
        value: String(value),
      })),
  };
}

function ok(body: object): Answer {
  return { status: 200, body };
}

function notFound(path: string): Answer {
  return status(404, "NotFound", `there is nothing at ${path}`);
}

/** A refusal, as the Kubernetes API words it. */
export function status(code: number, reason: string, message: string): Answer {
  return {
    status: code,
    body: { kind: "Status", apiVersion: "v1", metadata: {}, status: "Failure", message, reason, code },
  };
}
