import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { localCredentials, LocalOci } from "@flotilla/oci/local";
import { describeRealRedis, until } from "@flotilla/testkit";
import { afterEach, beforeEach, expect, test } from "vitest";
import { Fleet, onlyProbes } from "./fleet.ts";
import { planOf, probe, probes, together } from "./plans.ts";
import { firstOfEach, readEvents, streamsOf } from "./streams.ts";

/** How long Oracle Cloud is away; two minutes by `npm run storage-away`. */
const awaySeconds = Number(process.env.AWAY_SECONDS ?? 10);
const perSecond = 5;

describeRealRedis("Object Storage and Streaming away under load", () => {
  let folder: string;
  let local: LocalOci;
  let options: Parameters<typeof LocalOci.start>[0];
  let oci: Record<string, string>;
  let fleet: Fleet;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "flotilla-away-"));
    const { configFile, keys } = await localCredentials(join(folder, "keys"));
    options = { folder: join(folder, "oci"), keys, streams: ["events"] };
    local = await LocalOci.start(options);
    options.port = Number(new URL(local.endpoint).port);
    oci = {
      OCI_AUTH: "local",
      OCI_CONFIG_FILE: configFile,
      OCI_NAMESPACE: "local",
      OCI_COMPARTMENT_ID: "local",
      OCI_OBJECT_STORAGE_ENDPOINT: local.endpoint,
      OCI_STREAMING_ENDPOINT: local.endpoint,
      OCI_STREAM_ID: "events",
    };
    fleet = await Fleet.start({ args: onlyProbes(1), env: { ...oci, AGENT_CONCURRENCY: "50" } });
  });
  afterEach(async () => {
    await fleet.dispose();
    await local.stop();
    await rm(folder, { recursive: true, force: true });
  });

  /** A number that the supervisor shows, in seconds. */
  async function lag(name: string): Promise<number> {
    const { metricsUrl = "" } = fleet.ready.processes.find(({ role }) => role === "supervisor") ?? {};
    const text = await (await fetch(metricsUrl)).text();
    return Number(new RegExp(`^flotilla_${name}_lag_seconds (\\S+)`, "m").exec(text)?.[1] ?? NaN);
  }

  test("no workflow fails, both lags rise, and all is archived and exported soon after the return", async () => {
    const ids: string[] = [];
    const loading = new AbortController();
    // Some outputs are to become blobs: those tasks wait for the return.
    const request = (n: number) =>
      planOf(together("one", probes(2, "t")), together("two", [probe("end", { outputBytes: n % 30 ? 10 : 50_000 })]));
    const load = (async () => {
      while (!loading.signal.aborted) {
        ids.push((await fleet.client.submit(request(ids.length))).id);
        await delay(1000 / perSecond, undefined, { signal: loading.signal }).catch(() => undefined);
      }
    })();
    await until(() => ids.length > perSecond, { what: "load" });
    await local.stop();
    const goneAt = performance.now();
    const before = ids.length;
    const rises = Math.min(5, awaySeconds / 2);
    await until(async () => Math.min(await lag("checkpoint"), await lag("export")) > rises, {
      timeoutMs: 60_000,
      what: "lags that rise",
    });
    await delay(Math.max(0, awaySeconds * 1000 - (performance.now() - goneAt)));
    const away = (performance.now() - goneAt) / 1000;
    expect(ids.length - before).toBeGreaterThan(away * perSecond * 0.2);
    const highest = Math.max(await lag("checkpoint"), await lag("export"));
    local = await LocalOci.start(options);
    const backAt = performance.now();
    await until(async () => Math.max(await lag("checkpoint"), await lag("export")) < 5, {
      timeoutMs: 30_000,
      what: "lags below 5 s",
    });
    const caughtUp = (performance.now() - backAt) / 1000;
    loading.abort();
    await load;
    const views = [];
    for (const id of ids) views.push(await fleet.client.wait(id, { pollMs: 500 }));
    expect(views.filter(({ status }) => status !== "completed")).toEqual([]);
    const reader = (await streamsOf(fleet, oci)).reader("events", {
      group: "test",
      instance: "test",
      from: "oldest",
    });
    const events = await readEvents(reader, ids.length);
    await reader.close();
    for (const id of ids) {
      const seqs = firstOfEach(events, id).map(({ seq }) => seq);
      expect(seqs).toEqual(seqs.map((_, index) => index + 1));
    }
    console.log(
      `away for ${away.toFixed(0)} s under ${perSecond} workflows a second: ${ids.length} completed, 0 failed; ` +
        `a lag of ${highest.toFixed(0)} s was below 5 s again after ${caughtUp.toFixed(1)} s`,
    );
  });
});
