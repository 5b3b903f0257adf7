import type { AgentCatalog, WorkflowStore } from "@flotilla/workflow";

const keptMs = 1000;

/** The registered agent types, for checking requests without asking the store for each. */
export class RecentAgents {
  readonly #store: Pick<WorkflowStore, "agents">;
  #catalog: AgentCatalog | undefined;
  #readAt = 0;
  #reading: Promise<AgentCatalog> | undefined;

  constructor(store: Pick<WorkflowStore, "agents">) {
    this.#store = store;
  }

  /** At most a second old. */
  async recent(): Promise<AgentCatalog> {
    const isRecent = performance.now() - this.#readAt < keptMs;
    return this.#catalog && isRecent ? this.#catalog : this.read();
  }

  /** As the store has them now; concurrent calls are one. */
  read(): Promise<AgentCatalog> {
    this.#reading ??= this.#read().finally(() => {
      this.#reading = undefined;
    });
    return this.#reading;
  }

  async #read(): Promise<AgentCatalog> {
    const agents = await this.#store.agents();
    this.#catalog = new Map(agents.map(({ type, permissions }) => [type, { mayPlan: permissions.mayPlan }]));
    this.#readAt = performance.now();
    return this.#catalog;
  }
}
