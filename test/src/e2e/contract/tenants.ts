import { createClient } from "@flotilla/client";
import { beforeAll, describe, expect, test } from "vitest";
import { collect } from "../collect.ts";
import type { Fleet } from "../fleet.ts";
import { flotilla } from "../flotilla.ts";
import { planOf, probe, run, together } from "../plans.ts";
import { Wire } from "../wire.ts";

/** What two tenants see of each other: nothing. */
export function tenantsAreApart(fleet: () => Fleet): void {
  describe("another tenant", () => {
    let stranger: string;
    let id: string;
    beforeAll(async () => {
      const { ready } = fleet();
      const made = await flotilla(["keys", "create", "--tenant", "stranger", "--data-dir", ready.dataDir], {
        cwd: "/",
      });
      const { apiKey, ...rest } = JSON.parse(made.stdout);
      expect(rest).toEqual({ tenant: "stranger", role: "user" });
      stranger = apiKey;
      const done = await run(fleet(), { ...planOf(together("p", [probe("a")])), tags: { secret: "yes" } });
      id = done.view.id;
    });

    test.each([
      "GET /v1/workflows/ID",
      "GET /v1/workflows/ID/events",
      "GET /v1/workflows/ID/tasks/a",
      "GET /v1/workflows/ID/artifacts",
      "GET /v1/workflows/ID/artifacts/report.md",
      "POST /v1/workflows/ID/cancel",
      "POST /v1/workflows/ID/retry",
    ])("%s is as one that does not exist", async (target) => {
      const wire = new Wire(fleet().ready);
      const [theirs, nobodys] = await Promise.all([
        wire.call(target.replace("ID", id), { key: stranger }),
        wire.call(target.replace("ID", `${id.slice(0, -1)}${id.endsWith("0") ? "1" : "0"}`), { key: stranger }),
      ]);
      expect([theirs.status, theirs.json]).toMatchObject([404, { code: "not-found" }]);
      expect(theirs.json).toEqual(nobodys.json);
    });

    test("the stream is one that does not exist", async () => {
      const stream = new Wire(fleet().ready).stream(id, 0, stranger);
      await expect(collect(stream)).rejects.toThrow("the stream answered 404");
    });

    test("lists only its own, and has Idempotency-Keys of its own", async () => {
      const { url, apiKey } = fleet().ready;
      const theirs = createClient({ url, apiKey: stranger });
      expect(await theirs.list()).toEqual({ workflows: [] });
      expect(await theirs.list({ tag: { key: "secret", value: "yes" } })).toEqual({ workflows: [] });
      const idempotencyKey = crypto.randomUUID();
      const ours = createClient({ url, apiKey });
      const [one, two] = await Promise.all([
        ours.submit({ agent: "probe", input: { output: "ours" } }, { idempotencyKey }),
        theirs.submit({ agent: "probe", input: { output: "theirs" } }, { idempotencyKey }),
      ]);
      expect(one.id).not.toBe(two.id);
      const [mine, own] = await Promise.all([ours.wait(one.id), theirs.wait(two.id)]);
      expect([mine.result, own.result]).toMatchObject([{ output: "ours" }, { output: "theirs" }]);
      expect((await theirs.list()).workflows.map((workflow) => workflow.id)).toEqual([two.id]);
    });
  });
}
