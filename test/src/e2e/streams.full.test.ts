import { describeRealRedis, until } from "@flotilla/testkit";
import { afterEach, expect, test } from "vitest";
import { collect } from "./collect.ts";
import { Fleet, onlyProbes } from "./fleet.ts";
import { flotilla, jsonLines } from "./flotilla.ts";
import { planOf, probe, probes, together } from "./plans.ts";
import { firstOfEach, readEvents, streamsOf } from "./streams.ts";

const workflows = 60;
const bad = ["{", JSON.stringify({ input: 1 }), JSON.stringify({ input: "x", agent: "nobody" })];

describeRealRedis("a fleet with streams at both ends", () => {
  let fleet: Fleet;
  afterEach(() => fleet.dispose());

  test("each message is one workflow and each event comes out in order, whatever is killed", async () => {
    fleet = await Fleet.start({
      args: onlyProbes(2),
      env: { OCI_AUTH: "local", OCI_STREAM_ID: "events", FLOTILLA_INTAKE: "default=orders" },
    });
    const streams = await streamsOf(fleet);
    const request = planOf(together("one", probes(3, "t", { sleepMs: 50 })), together("two", [probe("end")]));
    const message = (text: string, key: number) => ({ key: String(key), value: Buffer.from(text) });
    const send = (...texts: string[]) => streams.writer("orders").append(texts.map(message));
    const all = async () => (await fleet.client.list({ limit: 200 })).workflows;

    await send(...Array<string>(workflows / 2).fill(JSON.stringify(request)), ...bad);
    await until(async () => (await all()).length > 0, { what: "the first workflow" });
    await fleet.kill("supervisor");
    await send(...Array<string>(workflows / 2).fill(JSON.stringify(request)));
    await Promise.all([fleet.kill("api"), fleet.kill("oci")]);
    await until(async () => (await all()).length > workflows / 2, { timeoutMs: 40_000, what: "the second half" });
    await fleet.kill("supervisor");

    const reader = streams.reader("events", { group: "test", instance: "test", from: "oldest" });
    const events = await readEvents(reader, workflows);
    await reader.close();
    const found = await all();
    expect(found.map(({ status }) => status)).toEqual(Array(workflows).fill("completed"));
    for (const { id } of found) {
      const log = await collect(fleet.client.events(id));
      expect(firstOfEach(events, id).map(({ seq, type }) => ({ seq, type }))).toEqual(
        log.map(({ seq, type }) => ({ seq, type })),
      );
    }
    const listed = await flotilla(["intake", "--json", "--data-dir", fleet.ready.dataDir], {
      cwd: fleet.ready.dataDir,
    });
    const [{ deadLetters } = {}] = jsonLines(listed);
    expect(deadLetters).toHaveLength(bad.length);
    expect(JSON.stringify(deadLetters)).toContain("unknown-agent");
  });
});
