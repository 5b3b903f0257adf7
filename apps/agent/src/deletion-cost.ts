import { askKubernetes, type KubernetesApi, type Logger, type Service } from "@flotilla/runtime";

const annotation = "controller.kubernetes.io/pod-deletion-cost";

/** What a worker says about itself, and to whom. */
export interface DeletionCostOptions {
  /** The pod that this process runs in. */
  pod: string;
  api: () => Promise<KubernetesApi>;
  /** How many tasks a deletion would send elsewhere. */
  runningTasks: () => number;
  logger: Logger;
  /** How often it is looked whether the number has changed, in ms: each change is a write to the API server. */
  everyMs?: number;
  /** How long the API server is left alone after it refused, in ms. */
  restMs?: number;
}

/**
 * Tells Kubernetes what it costs to delete this pod: the number of its running tasks. Of the pods that a Deployment may
 * choose from when it shrinks, those with the least go first. It is advice: where it cannot be given, a line is logged,
 * the pods go in any order, and what they have in hand is handed back as ever.
 */
export class DeletionCost implements Service {
  readonly #options: DeletionCostOptions;
  #timer: NodeJS.Timeout | undefined;
  // Not known at first: an earlier container of the same pod may have left its number.
  #written: number | undefined;
  #isWriting = false;
  #restsUntil = -Infinity;
  #isRefused = false;

  constructor(options: DeletionCostOptions) {
    this.#options = options;
  }

  async start(): Promise<void> {
    this.#timer = setInterval(() => void this.#look(), this.#options.everyMs ?? 10_000);
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
  }

  async #look(): Promise<void> {
    const { runningTasks, logger, pod, restMs = 60_000 } = this.#options;
    const cost = runningTasks();
    if (this.#isWriting || cost === this.#written || performance.now() < this.#restsUntil) return;
    this.#isWriting = true;
    try {
      await this.#write(cost);
      this.#written = cost;
      if (this.#isRefused) logger.info({ pod }, "the deletion cost is written again");
      this.#isRefused = false;
    } catch (error) {
      this.#restsUntil = performance.now() + restMs;
      // Once, and not each minute of a cluster that has no such rule.
      if (!this.#isRefused) logger.warn({ err: error, pod }, "the deletion cost is not written");
      this.#isRefused = true;
    } finally {
      this.#isWriting = false;
    }
  }

  async #write(cost: number): Promise<void> {
    const api = await this.#options.api();
    const path = `/api/v1/namespaces/${encodeURIComponent(api.namespace)}/pods/${encodeURIComponent(this.#options.pod)}`;
    const { status } = await askKubernetes(api, {
      method: "PATCH",
      path,
      body: JSON.stringify({ metadata: { annotations: { [annotation]: String(cost) } } }),
      contentType: "application/merge-patch+json",
    });
    if (status !== 200) throw new Error(`the API server answered ${status}`);
  }
}
