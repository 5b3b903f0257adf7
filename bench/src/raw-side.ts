import { fileURLToPath } from "node:url";
import { startProcess, type TestProcess } from "@flotilla/testkit/processes";
import { type FlowJob, FlowProducer } from "bullmq";
import { Redis } from "ioredis";
import { nodeFlags, ownCpuSeconds, type Side, taskOutput, workerConcurrency } from "./side.ts";

const queueName = "raw";
/** What has ended is kept for a day, as the fleet keeps it: its result can be read, by BullMQ's own means. */
const opts = { removeOnComplete: { age: 86_400 }, removeOnFail: { count: 1000 }, attempts: 1 };

function node(name: string, children: FlowJob[] = []): FlowJob {
  return { name, queueName, data: { output: taskOutput }, opts, children };
}

/** The six nodes as a tree: a child runs before its parent, so the plan stands below one of the three. */
const tree = node("review", [
  node("analysis", [node("research-1", [node("plan")]), node("research-2"), node("research-3")]),
]);

interface WorkerMessage {
  kind: "done" | "usage";
  cpuSeconds: number;
  rssMb: number;
}

/** Raw BullMQ: a FlowProducer in this process and one worker process that does nothing but answer. */
export class RawSide implements Side {
  readonly #flows: FlowProducer;
  readonly #connection: Redis;
  readonly #worker: TestProcess;
  #done = 0;
  #usage: WorkerMessage = { kind: "usage", cpuSeconds: 0, rssMb: 0 };
  #waiting: (() => void)[] = [];

  private constructor(connection: Redis, worker: TestProcess) {
    this.#connection = connection;
    this.#flows = new FlowProducer({ connection });
    this.#worker = worker;
    worker.onMessage((message) => this.#receive(message as WorkerMessage));
  }

  static async start(url: string): Promise<RawSide> {
    const worker = await startProcess({
      main: fileURLToPath(new URL("raw-worker.ts", import.meta.url)),
      nodeFlags,
      args: [url, queueName, String(workerConcurrency)],
    });
    return new RawSide(new Redis(url, { maxRetriesPerRequest: null }), worker);
  }

  async run(count: number, inFlight: number): Promise<void> {
    const before = this.#done;
    let submitted = 0;
    const submitSome = async () => {
      while (submitted < count) {
        if (submitted - (this.#done - before) >= inFlight) await this.#change();
        else {
          submitted++;
          await this.#flows.add(tree);
        }
      }
    };
    await Promise.all(Array.from({ length: 32 }, submitSome));
    while (this.#done - before < count) await this.#change();
  }

  async latency(): Promise<number> {
    const before = this.#done;
    const startedAt = performance.now();
    await this.#flows.add(tree);
    while (this.#done === before) await this.#change();
    return performance.now() - startedAt;
  }

  async cpuSeconds(): Promise<number> {
    await this.#askUsage();
    return this.#usage.cpuSeconds + ownCpuSeconds();
  }

  async rssMb(): Promise<number> {
    await this.#askUsage();
    return this.#usage.rssMb;
  }

  async stop(): Promise<void> {
    await this.#flows.close();
    this.#connection.disconnect();
    await this.#worker.stop();
  }

  async #askUsage(): Promise<void> {
    const { cpuSeconds } = this.#usage;
    this.#worker.send({ kind: "usage" });
    while (this.#usage.cpuSeconds === cpuSeconds) await this.#change();
  }

  #receive(message: WorkerMessage): void {
    if (message.kind === "done") this.#done++;
    else if (message.kind === "usage") this.#usage = message;
    for (const wake of this.#waiting.splice(0)) wake();
  }

  #change(): Promise<void> {
    return new Promise((resolve) => void this.#waiting.push(resolve));
  }
}
