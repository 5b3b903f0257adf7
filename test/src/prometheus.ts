import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { cp, mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { until } from "@flotilla/testkit";
import { describe } from "vitest";
import { z } from "zod";

const rulesFile = resolve(import.meta.dirname, "../../infra/prometheus/rules.yml");

const isMissing = spawnSync("prometheus", ["--version"]).error !== undefined;

/** A `describe` whose tests are skipped, with the reason in its name, where there is no Prometheus. */
export function describePrometheus(name: string, define: () => void): void {
  const reason = isMissing ? " (skipped: no prometheus on PATH)" : "";
  (isMissing ? describe.skip : describe)(`${name}${reason}`, define);
}

const Answer = z.object({ status: z.literal("success"), data: z.unknown() });
const Vector = z.object({
  resultType: z.literal("vector"),
  result: z.array(z.object({ metric: z.record(z.string(), z.string()), value: z.tuple([z.number(), z.string()]) })),
});

/** One series of an answer, at its latest. */
export interface Sample {
  labels: Record<string, string>;
  value: number;
}

/** A real Prometheus with the rules of infra/prometheus, which scrapes processes of this machine each second. */
export class TestPrometheus {
  readonly #child: ChildProcess;
  readonly #folder: string;
  readonly #url: string;

  private constructor(child: ChildProcess, folder: string, url: string) {
    this.#child = child;
    this.#folder = folder;
    this.#url = url;
  }

  /** `targets`: name of a job → addresses, as `host:port`. Resolves when it is ready. */
  static async start(targets: ReadonlyMap<string, readonly string[]>): Promise<TestPrometheus> {
    const folder = await mkdtemp(join(tmpdir(), "flotilla-prometheus-"));
    await cp(rulesFile, join(folder, "rules.yml"));
    const jobs = Array.from(targets, ([job, addresses]) => ({
      job_name: job,
      static_configs: [{ targets: addresses }],
    }));
    // JSON is YAML.
    const config = {
      global: { scrape_interval: "1s", evaluation_interval: "1s" },
      rule_files: ["rules.yml"],
      scrape_configs: jobs,
    };
    await writeFile(join(folder, "prometheus.yml"), JSON.stringify(config));
    const port = await freePort();
    const child = spawn(
      "prometheus",
      [
        "--config.file=prometheus.yml",
        `--storage.tsdb.path=${join(folder, "data")}`,
        `--web.listen-address=127.0.0.1:${port}`,
      ],
      { cwd: folder, stdio: "ignore" },
    );
    const prometheus = new TestPrometheus(child, folder, `http://127.0.0.1:${port}`);
    await until(async () => (await fetch(`${prometheus.#url}/-/ready`)).ok, { what: "a Prometheus that is ready" });
    return prometheus;
  }

  /** What an instant query gives now; throws with the words of Prometheus where it refuses it. */
  async query(expression: string): Promise<Sample[]> {
    const data = await this.#get(`query?${new URLSearchParams({ query: expression })}`);
    return Vector.parse(data).result.map(({ metric, value }) => ({ labels: metric, value: Number(value[1]) }));
  }

  async labelValues(metric: string, label: string): Promise<string[]> {
    return z
      .array(z.string())
      .parse(await this.#get(`label/${label}/values?${new URLSearchParams({ "match[]": metric })}`));
  }

  async stop(): Promise<void> {
    const exited = once(this.#child, "exit");
    this.#child.kill("SIGKILL");
    await exited;
    await rm(this.#folder, { recursive: true, force: true });
  }

  async #get(path: string): Promise<unknown> {
    const response = await fetch(`${this.#url}/api/v1/${path}`);
    const text = await response.text();
    if (!response.ok) throw new Error(`${path}: ${text}`);
    return Answer.parse(JSON.parse(text)).data;
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  await once(server, "close");
  if (address === null || typeof address === "string") throw new Error("a server without a port");
  return address.port;
}
