import { describe } from "vitest";
import type { Connection } from "../src/index.ts";
import { archiveRules } from "./rules/archive.ts";
import { claimRules } from "./rules/claims.ts";
import { commitRules } from "./rules/commits.ts";
import { fencingRules } from "./rules/fencing.ts";
import { forkRules } from "./rules/forks.ts";
import { itemRules } from "./rules/items.ts";
import { lookRules } from "./rules/looks.ts";
import { monitoringRules } from "./rules/monitoring.ts";
import { notificationRules } from "./rules/notifications.ts";
import { readingRules } from "./rules/reading.ts";
import { registryRules } from "./rules/registry.ts";
import { retryRules } from "./rules/retries.ts";
import { sharingRules } from "./rules/sharing.ts";
import { signalRules } from "./rules/signals.ts";
import { spendingRules } from "./rules/spending.ts";
import { submissionRules } from "./rules/submission.ts";
import { Shard } from "./shard.ts";

/** The rules of every script of lua/, to be stated over any kind of Redis. */
export function scriptRules(connection: () => Connection): void {
  const newShard = () => new Shard(connection());
  submissionRules(newShard);
  readingRules(newShard);
  lookRules(newShard);
  commitRules(newShard);
  claimRules(newShard);
  retryRules(newShard);
  forkRules(newShard);
  itemRules(newShard);
  archiveRules(newShard);
  notificationRules(newShard);
  signalRules(newShard);
  spendingRules(newShard);
  sharingRules(newShard);
  describe("fencing", () => fencingRules(newShard));
  describe("monitoring", () => monitoringRules(connection));
  describe("registry", () => registryRules(connection));
}
