import { OciStorage } from "@flotilla/oci";
import { ConfigError, createLogger } from "@flotilla/runtime";
import { expect, onTestFinished, test } from "vitest";
import { bytesOf, Rig } from "./rig.ts";

const logger = createLogger({ role: "test", level: "silent" });

function storageOf(settings: ReturnType<Rig["settings"]>): OciStorage {
  const storage = new OciStorage(settings, logger);
  onTestFinished(() => storage.stop());
  return storage;
}

test("a start makes the bucket that is missing, also when several start at once", async () => {
  const rig = await Rig.start();
  const [one, other] = [storageOf(rig.settings()), storageOf(rig.settings())];
  await Promise.all([one.start(), other.start()]);
  const { sha256 } = await one.blobs.put(Buffer.from("hello"));
  expect((await bytesOf(await other.blobs.get(sha256))).toString()).toBe("hello");
});

test("a start without a compartment, or with a key that nobody knows, is refused as configuration", async () => {
  const rig = await Rig.start();
  const { compartmentId: _, ...nowhere } = rig.settings();
  await expect(storageOf(nowhere).start()).rejects.toThrow(ConfigError);
  const stranger = await Rig.start({ keys: new Map() });
  await expect(storageOf(stranger.settings()).start()).rejects.toThrow(/OCI_AUTH/);
});

test("a start while Object Storage is away goes on, and works when it is back", async () => {
  const rig = await Rig.start();
  await rig.bucket();
  const storage = storageOf(rig.settings());
  rig.local.faults.inject({ kind: "refuse", status: 503, code: "ServiceUnavailable" }, { times: Infinity });
  await storage.start();
  rig.local.faults.clear();
  expect((await storage.archive.put("open/a", Buffer.from("a"))).kind).toBe("stored");
});
